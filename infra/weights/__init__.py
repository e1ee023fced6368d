"""Bringing the weights of bigger models from the package index."""

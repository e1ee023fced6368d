"""Vectors in Qdrant and on disk."""

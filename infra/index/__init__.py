"""Nearest codes and segments, in Qdrant."""

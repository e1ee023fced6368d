"""Measures, with intervals."""

"""Profiles: which models run, and how."""

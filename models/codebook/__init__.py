"""Codes and themes, from their events."""

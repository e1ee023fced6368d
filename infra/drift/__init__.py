"""Drift in files and studies: reading, scanning, reporting, notifying."""

"""Drift in files and in the read model: read in order of time, watched, shown."""

"""Coding on the page beside the queue."""

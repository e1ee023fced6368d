"""Coding on the page beside the queue: any segment, the segments of a list one after another, several at once."""

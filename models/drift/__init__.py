"""What changed in a stream of coded segments, since when, how sure, and why."""

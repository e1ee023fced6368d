"""Many readings of one segment."""

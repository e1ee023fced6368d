"""What may be read, and what may be a label."""

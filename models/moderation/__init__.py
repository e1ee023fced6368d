"""Many proposals become one decision."""

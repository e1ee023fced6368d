"""What users see and what must not be lost, in SQL."""

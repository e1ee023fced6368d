"""Pages that count a study."""

"""What a human decision is."""

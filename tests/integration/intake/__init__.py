"""What happens to texts on their way in."""

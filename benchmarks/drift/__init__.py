"""How soon drift is found, and how rarely it gives a false alarm."""

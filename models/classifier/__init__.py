"""A study's own classifier: what it is trained on, when, and what it says."""

"""A study's rules where they meet its labels and its coded segments."""

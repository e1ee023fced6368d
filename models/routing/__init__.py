"""Accept a code, or ask a person."""

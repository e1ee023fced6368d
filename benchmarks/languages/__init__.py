"""Sentence models beside each other on texts and codes that are not English, and what the many languages cost."""

"""Erasing a segment, an author or a person from everything that is kept, with a receipt."""

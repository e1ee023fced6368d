"""REFI-QDA, the standard by which programs for qualitative analysis exchange projects and codebooks."""

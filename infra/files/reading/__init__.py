"""Files as people bring them: their bytes, dialects and headers, and what other tools call their columns."""

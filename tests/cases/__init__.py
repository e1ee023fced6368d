"""Fifty-eight situations from public reports about other tools: what people bring, and what must come of it."""

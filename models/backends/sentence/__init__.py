"""Sentence models: embeddings, heads, tuning and attribution."""

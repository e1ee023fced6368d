"""Measuring: evaluation against people's codes, and simulated active learning."""

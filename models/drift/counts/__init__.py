"""Counts of a stream by stratum and cell, and what they were some blocks ago."""

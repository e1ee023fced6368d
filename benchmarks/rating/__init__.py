"""Codes that were rated blind: what is rated, what it says, and the confidence that is fitted on it."""

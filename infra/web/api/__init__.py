"""The JSON API for programs, under /api/v1: described, versioned, asked with a token."""

"""Whether memory stays level over a long run."""

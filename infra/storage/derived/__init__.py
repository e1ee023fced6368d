"""What the read model derives from its records, kept beside them so that every reader has it at once."""

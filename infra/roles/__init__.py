"""The roles of the topology: how each is built, and how one runs in this process."""

"""The Python interface: what ``import qualstream`` offers. Programs import it from there."""

"""Reuse an earlier code, or create one."""

"""What in a text is somebody's personal data, and what stands in its place."""

"""The vendors that are read."""

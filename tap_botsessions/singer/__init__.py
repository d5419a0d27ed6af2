"""Streams as the Singer SDK has them: partitions, bookmarks, messages."""

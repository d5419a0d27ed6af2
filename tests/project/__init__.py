"""The project itself: style, documents, packages, released contracts."""

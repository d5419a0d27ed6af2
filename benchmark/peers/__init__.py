"""Programs that read the same, in environments of their own."""

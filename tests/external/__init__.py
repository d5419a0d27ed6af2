"""With what is not ours: Meltano, targets, PostgreSQL, Airbyte, the demo."""

"""How fast the tap is beside others: `uv run -m benchmark`."""

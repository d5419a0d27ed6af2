"""Kore.ai: its getSessions, and the records that it serves."""

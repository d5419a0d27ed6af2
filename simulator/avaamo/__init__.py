"""Avaamo: its analytics API, and the records that it serves."""

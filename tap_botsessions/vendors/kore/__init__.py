"""Kore.ai: sessions of bots."""

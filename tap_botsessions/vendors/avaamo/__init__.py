"""Avaamo: user sessions, messages and usage of agents."""

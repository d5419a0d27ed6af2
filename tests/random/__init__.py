"""Inputs, faults and timings that are drawn by chance."""

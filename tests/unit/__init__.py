"""Functions and classes by themselves, without a vendor."""

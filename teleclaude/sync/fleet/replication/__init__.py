"""Copies of what other computers own."""

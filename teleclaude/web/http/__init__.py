"""Bytes: listeners, heads, who may come in."""

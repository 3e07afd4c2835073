"""The other computers, through Redis."""

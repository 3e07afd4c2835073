"""What goes between computers, and how it is sealed."""

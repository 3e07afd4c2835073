"""What acts on this computer."""

"""What runs in the panes."""

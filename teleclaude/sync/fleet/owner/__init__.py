"""What this computer gives to others, and does for them."""

"""Who is in the fleet, and who is there now."""

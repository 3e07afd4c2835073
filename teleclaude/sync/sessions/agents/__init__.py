"""What is known of each agent: tables of the signs that it shows."""

"""Who is told that a session waits, failed or finished, and how."""

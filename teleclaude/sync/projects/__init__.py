"""Projects and todos, from files."""

"""This computer: tmux, projects and todos, watched by events."""

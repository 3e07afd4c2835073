"""tmux, and nothing else."""

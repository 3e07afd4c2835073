"""Hooks in the agents' own settings: what they run, and how they come there and go again."""

"""One live view of every terminal and AI-agent session on all of a developer's computers."""

__version__ = "0.1.0"

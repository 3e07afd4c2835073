"""The supervisor: starts the workers, watches them, restarts them, stops them in order."""

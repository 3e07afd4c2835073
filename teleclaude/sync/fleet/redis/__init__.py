"""Redis: connections, keys, streams."""

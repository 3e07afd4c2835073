"""The web process: REST and WebSocket on a unix socket, read from the cache's snapshot and feed."""

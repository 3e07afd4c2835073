"""How programs talk to the daemon: REST over its socket, and a WebSocket reader thread."""

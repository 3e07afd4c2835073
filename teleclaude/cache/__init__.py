"""The cache process: the only writer of cached state. It knows no tmux, no Redis and no HTTP."""

"""The terminal client: messages in, state out, view from state."""

"""/ws: what changes goes to who looks at it."""

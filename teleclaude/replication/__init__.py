"""The one idea, pure: a reader has a snapshot at a version, then every later change in order."""

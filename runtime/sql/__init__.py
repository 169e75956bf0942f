"""The hand-written statements, one a file."""

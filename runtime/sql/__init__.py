"""The hand-written statements, one per file."""

"""The parts of `coremachine demo`: its test broker, its pages, and what it prints at the end."""

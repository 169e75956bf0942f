"""Statements of the relay and of the reader of dead letters, one per file."""

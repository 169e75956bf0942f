"""Statements of the store, one per file."""

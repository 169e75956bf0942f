"""Statements of the store, one a file."""

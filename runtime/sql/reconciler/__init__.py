"""Statements of the reconciler, one a file."""

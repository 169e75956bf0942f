"""Statements of the reconciler, one per file."""

"""Statements of the worker, one per file."""

"""Statements of the worker, one a file."""

"""Statements of the flow, one a file."""

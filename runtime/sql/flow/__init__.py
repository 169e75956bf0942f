"""Statements of the flow, one per file."""

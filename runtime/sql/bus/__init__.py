"""Statements of the PostgreSQL bus, one a file."""

"""Statements of the PostgreSQL bus, one per file."""

"""Statements behind `why`, one per file."""

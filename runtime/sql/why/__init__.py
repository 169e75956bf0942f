"""Statements behind `why`, one a file."""

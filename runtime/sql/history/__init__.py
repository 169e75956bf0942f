"""Statements that read the history of jobs, one a file."""

"""Statements that read the history of jobs, one per file."""

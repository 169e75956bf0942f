"""Statements of the lease renewer, one a file."""

"""Example programs: each one runs as a script and can be imported as a module."""

"""Programs that show how CoreMachine is used: each one runs as a script and imports as a module."""

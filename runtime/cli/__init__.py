"""The command line: `coremachine`, and `python -m coremachine`."""

from .program import main

__all__ = ["main"]

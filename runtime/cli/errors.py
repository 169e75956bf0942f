"""How the command line tells of an error: one line on standard error that a person can act on."""

import sys
import traceback

import psycopg

from ...statemachine.errors import CoreMachineError, OperationError
from .terminal import in_colour, red


class InputError(OperationError):
    """Something that was given to the command line cannot be used. Carries `what` and `reason`."""

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what}: {reason}")


def tell(error: Exception, *, debug: bool = False) -> None:
    """Write `error` to standard error as one line, in red on a terminal.

    What a server's log says about it follows in lines of its own, and so does the traceback with `debug`.
    """
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    tail = str(getattr(error, "log_tail", ""))
    line = "; ".join(part.strip() for part in _words(error).removesuffix(tail).splitlines() if part.strip())
    told = f"error: {line}"
    sys.stderr.write(f"{red(told) if in_colour(sys.stderr) else told}\n")
    if tail:
        sys.stderr.write(f"{tail}\n")


def _words(error: Exception) -> str:
    if isinstance(error, CoreMachineError | OSError):
        return str(error)
    if isinstance(error, psycopg.Error):
        return f"the database refused: {error}"
    return f"unexpected {type(error).__name__}: {error} (coremachine --debug … shows where it comes from)"

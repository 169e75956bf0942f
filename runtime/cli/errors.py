"""How the command line reports an error: one line on standard error that a person can act on."""

import sys
import traceback

import psycopg

from ...statemachine.errors import CoreMachineError, IllegalMoveError, OperationError
from ...statemachine.lifecycles import JOB
from .terminal import in_colour, red


class InputError(OperationError):
    """An argument, an option or a setting cannot be used. Carries `what` and `reason`."""

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"{what}: {reason}")


def report_error(error: Exception, *, debug: bool = False) -> None:
    """Write `error` to standard error as one line, in red on a terminal.

    With `debug` the traceback comes first. If the error carries the end of a server's log, that follows.
    """
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    log_tail = str(getattr(error, "log_tail", ""))
    message = _message(error).removesuffix(log_tail)
    line = f"error: {'; '.join(part.strip() for part in message.splitlines() if part.strip())}"
    sys.stderr.write(f"{red(line) if in_colour(sys.stderr) else line}\n")
    if log_tail:
        sys.stderr.write(f"{log_tail}\n")


def _message(error: Exception) -> str:
    if isinstance(error, IllegalMoveError) and error.machine == JOB.name:
        return _refused_move(error)
    if isinstance(error, CoreMachineError | OSError):
        return str(error)
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL reported an error: {error}"
    return f"unexpected {type(error).__name__}: {error} (run coremachine --debug … to see the traceback)"


def _refused_move(error: IllegalMoveError) -> str:
    """Why a job cannot be resumed or cancelled now."""
    state = JOB.by_name[error.state]
    if state.terminal and not state.failure:
        return f"This job has {state.name}; there is nothing to {error.trigger}."
    if state.terminal:
        return f"This job has ended ({state.name}); there is nothing to {error.trigger}."
    sources = " or ".join(edge.source for edge in JOB.edges if edge.transition.trigger == error.trigger)
    return f"This job is {state.name}; to {error.trigger} a job, it must be {sources}."

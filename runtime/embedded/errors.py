"""The error of the embedded server."""

from pathlib import Path

from ...statemachine.errors import OperationError

_TAIL_LINES = 20
_TAIL_BYTES = 16_384


class EmbeddedServerError(OperationError):
    """The embedded server could not be found, created, started, joined or stopped.

    Carries `what` happened, `where` (the file or directory it happened to), `remedy`, and `log_tail`: the last
    lines of the server's log or of the failed command's output, empty if there is none.
    """

    def __init__(self, what: str, where: Path | str, remedy: str, log_tail: str = "") -> None:
        self.what = what
        self.where = str(where)
        self.remedy = remedy
        self.log_tail = log_tail
        message = f"embedded PostgreSQL: {what} ({self.where}). {remedy}"
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)


def tail_of(log: Path) -> str:
    """Return the last lines of a log file, or nothing if it cannot be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return last_lines(text)


def last_lines(text: str) -> str:
    """Return the last lines of a command's output."""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])

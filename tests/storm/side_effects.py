"""What handlers do outside the database: they write a line as an attempt begins, and one when its effect is done."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from coremachine import TaskContext
from coremachine.runtime.soak.side_effects import append_words, read_words


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `what` is `begin` or `end`, `at` seconds since 1970, `pid` the worker's process."""

    what: str
    job: str
    stage: str
    index: int
    attempt: int
    lease_number: int = 1
    pid: int = 0
    at: float = 0.0


def record_line(file: str, what: str, key: str, context: TaskContext) -> None:
    """Append the line of a handler."""
    attempt = (context.stage, context.index, context.attempt, context.lease_number)
    append_words(file, what, key, *attempt, os.getpid(), f"{time.time():.6f}")


def read_lines(file: Path) -> tuple[Line, ...]:
    """The lines of a job in the order in which they were written; none without a file."""
    return tuple(
        Line(what, job, stage, int(index), int(attempt), int(lease), int(pid), float(at))
        for what, job, stage, index, attempt, lease, pid, at in read_words(file)
    )

"""What handlers leave outside the database: a line as an attempt begins, and one as its effect is there."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coremachine import TaskContext


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


def leave_line(file: str, what: str, key: str, context: TaskContext) -> None:
    """One write to a file opened for appending, so that lines of several threads and processes do not mix."""
    place = (what, key, context.stage, context.index, context.attempt, context.lease_number)
    words = " ".join(map(str, (*place, os.getpid(), f"{time.time():.6f}")))
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{words}\n".encode())
    finally:
        os.close(descriptor)


def lines_of(file: Path) -> tuple[Line, ...]:
    """The lines of a job in the order in which they were written; none without a file."""
    return tuple(_lines(file)) if file.exists() else ()


def _lines(file: Path) -> Iterator[Line]:
    for line in file.read_text(encoding="utf-8").splitlines():
        what, job, stage, index, attempt, lease, pid, at = line.split()
        yield Line(what, job, stage, int(index), int(attempt), int(lease), int(pid), float(at))

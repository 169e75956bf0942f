"""What handlers leave outside the database: one line for each begin and each end, in a file for each job."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...statemachine.context import TaskContext


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what happened (`start`, `effect`, or a word of the job's own functions), and to which claim."""

    what: str
    task_id: str = "-"
    attempt: int = 0
    lease_number: int = 0


def leave_line(file: str, what: str, context: TaskContext | None = None) -> None:
    """One write to a file opened for appending: lines of several threads and processes do not mix."""
    words = (what, "-", 0, 0) if context is None else (what, context.task_id, context.attempt, context.lease_number)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(descriptor)


def lines_of(file: Path) -> tuple[Line, ...]:
    """The lines of a job, in the order in which they were written; none where there is no file."""
    return tuple(_lines(file)) if file.exists() else ()


def _lines(file: Path) -> Iterator[Line]:
    for line in file.read_text(encoding="utf-8").splitlines():
        what, task_id, attempt, lease_number = line.split()
        yield Line(what, task_id, int(attempt), int(lease_number))

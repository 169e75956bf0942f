"""What handlers do outside the database: they append a line when they start, and one when they finish."""

import os
from dataclasses import dataclass
from pathlib import Path

from ...statemachine.context import TaskContext


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what happened (`start`, `effect`, or a word of the job's own functions), and under which claim."""

    what: str
    task_id: str = "-"
    attempt: int = 0
    lease_number: int = 0


def record_line(file: str, what: str, context: TaskContext | None = None) -> None:
    """Append the line of a handler, or of a function that has no task."""
    claim = ("-", 0, 0) if context is None else (context.task_id, context.attempt, context.lease_number)
    append_words(file, what, *claim)


def read_lines(file: Path) -> tuple[Line, ...]:
    """The lines of a job, in the order in which they were written; none if there is no file."""
    return tuple(
        Line(what, task_id, int(attempt), int(lease_number))
        for what, task_id, attempt, lease_number in read_words(file)
    )


def append_words(file: str, *words: object) -> None:
    """Append one line. A single write to a file opened for appending: lines of several processes do not mix."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(descriptor)


def read_words(file: Path) -> list[list[str]]:
    """The words of each line; none if there is no file."""
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

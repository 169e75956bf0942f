"""A small job whose every call leaves a line outside the database, and may kill its worker."""

import os
import signal
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.settings import Settings
from coremachine.statemachine.retry import Backoff

NUMBERS = [0, 1, 2]
FLAKY = 1
RESULT = {"total": 30}
FUNCTIONS = ("plan", "spread", "tenfold", "collect", "total", "tell")
MOMENTS = ("begin", "end")
SETTINGS = Settings(lease=0.8, reconcile=0.4, poll=0.3, grace=2.0)
SOON = Backoff(first=0.05, most=0.2)


class TryAgainError(Exception):
    """What the first attempt of one task raises."""


def _leave_line(file: str, *words: object) -> None:
    """One write to a file opened for appending: lines of several threads and processes do not mix."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(descriptor)


def _perhaps_die(file: str, dies: str, here: str) -> None:
    """Kill this very process, the first time that anybody comes here and this is the place."""
    if dies == here:
        try:
            Path(f"{file}.died").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


@task
def plan(file: str, dies: str, context: TaskContext) -> list[int]:
    _perhaps_die(file, dies, "plan begin")
    _leave_line(file, "plan", context.task_id, context.attempt)
    _perhaps_die(file, dies, "plan end")
    return NUMBERS


def spread(plan: list[int], file: str, dies: str) -> list[int]:
    _perhaps_die(file, dies, "spread begin")
    _leave_line(file, "spread", "-", 1)
    _perhaps_die(file, dies, "spread end")
    return plan


@task(retries=1, backoff=SOON)
def tenfold(number: int, file: str, dies: str, context: TaskContext) -> int:
    _perhaps_die(file, dies, "tenfold begin")
    context.checkpoint("begun", number=number)
    _leave_line(file, "tenfold", context.task_id, context.attempt)
    if number == FLAKY and context.attempt == 1:
        raise TryAgainError
    _perhaps_die(file, dies, "tenfold end")
    return 10 * number


@task
def collect(numbers: list[int], file: str, dies: str, context: TaskContext) -> list[int]:
    _perhaps_die(file, dies, "collect begin")
    _leave_line(file, "collect", context.task_id, context.attempt)
    _perhaps_die(file, dies, "collect end")
    return numbers


def total(numbers: list[int], file: str, dies: str) -> dict[str, int]:
    _perhaps_die(file, dies, "total begin")
    _leave_line(file, "total", "-", 1)
    _perhaps_die(file, dies, "total end")
    return {"total": sum(numbers)}


def tell(job_id: str, file: str, dies: str) -> None:
    _perhaps_die(file, dies, "tell begin")
    _leave_line(file, "tell", job_id, 1)
    _perhaps_die(file, dies, "tell end")


CRASHING = Job(
    "crashing",
    [
        Stage("plan", plan),
        Stage("tenfold", tenfold, each=spread),
        Stage("collect", collect, gather="tenfold"),
    ],
    finalize=total,
    on_job_complete=tell,
    callback_backoff=SOON,
)

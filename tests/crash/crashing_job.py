"""A small job, each call of which writes a line outside the database and may kill its worker."""

import os
import signal
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.settings import Settings
from coremachine.runtime.soak.side_effects import append_words
from coremachine.statemachine.retry import Backoff

NUMBERS = [0, 1, 2]
FLAKY = 1
RESULT = {"total": 30}
FUNCTIONS = ("plan", "spread", "tenfold", "collect", "total", "callback")
MOMENTS = ("begin", "end")
SETTINGS = Settings(lease=0.8, reconcile=0.4, poll=0.3, grace=2.0)
BACKOFF = Backoff(first=0.05, most=0.2)


class TryAgainError(Exception):
    """What the first attempt of one task raises."""


def _die_if_planned(file: str, dies: str, here: str) -> None:
    """Kill this process if `dies` is this place, the first time that any process gets here."""
    if dies == here:
        try:
            Path(f"{file}.died").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


@task
def plan(file: str, dies: str, context: TaskContext) -> list[int]:
    _die_if_planned(file, dies, "plan begin")
    append_words(file, "plan", context.task_id, context.attempt)
    _die_if_planned(file, dies, "plan end")
    return NUMBERS


def spread(plan: list[int], file: str, dies: str) -> list[int]:
    _die_if_planned(file, dies, "spread begin")
    append_words(file, "spread", "-", 1)
    _die_if_planned(file, dies, "spread end")
    return plan


@task(retries=1, backoff=BACKOFF)
def tenfold(number: int, file: str, dies: str, context: TaskContext) -> int:
    _die_if_planned(file, dies, "tenfold begin")
    context.checkpoint("begun", number=number)
    append_words(file, "tenfold", context.task_id, context.attempt)
    if number == FLAKY and context.attempt == 1:
        raise TryAgainError
    _die_if_planned(file, dies, "tenfold end")
    return 10 * number


@task
def collect(numbers: list[int], file: str, dies: str, context: TaskContext) -> list[int]:
    _die_if_planned(file, dies, "collect begin")
    append_words(file, "collect", context.task_id, context.attempt)
    _die_if_planned(file, dies, "collect end")
    return numbers


def total(numbers: list[int], file: str, dies: str) -> dict[str, int]:
    _die_if_planned(file, dies, "total begin")
    append_words(file, "total", "-", 1)
    _die_if_planned(file, dies, "total end")
    return {"total": sum(numbers)}


def callback(job_id: str, file: str, dies: str) -> None:
    _die_if_planned(file, dies, "callback begin")
    append_words(file, "callback", job_id, 1)
    _die_if_planned(file, dies, "callback end")


CRASHING = Job(
    "crashing",
    [
        Stage("plan", plan),
        Stage("tenfold", tenfold, each=spread),
        Stage("collect", collect, gather="tenfold"),
    ],
    finalize=total,
    on_job_complete=callback,
    callback_backoff=BACKOFF,
)

"""Jobs that run while the database is down. A worker loads this file.

Every call writes a line, and then waits until the file `go` exists.
"""

import time
from pathlib import Path

from coremachine import Job, Stage, task
from coremachine.runtime.soak.side_effects import append_words

TIMEOUT_SECONDS = 60.0


def _call(place: str, *words: object) -> None:
    append_words(f"{place}/lines", *words)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not Path(place, "go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(words)
        time.sleep(0.01)


def numbers(place: str, size: int) -> list[int]:
    _call(place, "numbers")
    return list(range(size))


@task
def work(number: int, place: str) -> int:
    _call(place, "work", number)
    return number


@task
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
async def nothing() -> None:
    """Do nothing, so that its job completes at once."""


def callback(place: str) -> None:
    _call(place, "callback")


planned = Job("planned", [Stage("work", work, each=numbers), Stage("total", total, gather="work")])
working = Job("working", [Stage("work", work, each="items"), Stage("total", total, gather="work")])
telling = Job("telling", [Stage("nothing", nothing)], on_job_complete=callback)

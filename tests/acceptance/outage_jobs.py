"""Jobs that are under way while the database is not there, given to a worker as a file of their own.

Every call leaves a line, and then waits until the file `go` is there.
"""

import time
from pathlib import Path

from coremachine import Job, Stage, task
from tests.acceptance.blocking_jobs import leave_line

LONGEST = 60.0


def _call(place: str, *words: object) -> None:
    leave_line(f"{place}/lines", *words)
    deadline = time.monotonic() + LONGEST
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
    """So that its job completes at once."""


def tell(place: str) -> None:
    _call(place, "tell")


planned = Job("planned", [Stage("work", work, each=numbers), Stage("total", total, gather="work")])
working = Job("working", [Stage("work", work, each="items"), Stage("total", total, gather="work")])
telling = Job("telling", [Stage("nothing", nothing)], on_job_complete=tell)

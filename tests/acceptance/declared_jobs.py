"""Jobs for the command line's tests, given to it as a file."""

import threading
from pathlib import Path

from coremachine import Job, Stage, task


@task
def add(first: int, second: int = 1, note: str = "", label: str | None = None) -> dict[str, object]:
    return {"sum": first + second, "note": note, "label": label}


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def refuse(number: int) -> int:
    if number == 1:
        raise ValueError("one is too many")
    return number


@task
def hold(started: str, release: str) -> str:
    """Report that it runs, and wait for permission to end: both are named pipes."""
    Path(started).write_text("running")
    return Path(release).read_text()


@task
def hang(started: str) -> None:
    """Report that it runs, and never return."""
    Path(started).write_text("running")
    threading.Event().wait()


sums = Job("sums", [Stage("add", add)])
failing = Job("failing", [Stage("numbers", numbers), Stage("refuse", refuse, each="numbers")])
holding = Job("holding", [Stage("hold", hold)])
hanging = Job("hanging", [Stage("hang", hang)])


async def thank(job_id: str) -> None:
    assert job_id


thanked = Job("thanked", [Stage("add", add)], on_job_complete=thank)

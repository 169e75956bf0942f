"""Progress of a job while it runs: a live bar for each stage on a terminal, a line for each change elsewhere.

It is told on standard error, so that what a command prints stays clean.
"""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from ...statemachine.lifecycles import JOB, STAGE
from ..app import AsyncCoreMachine
from ..store.session import Row
from .pause import pause
from .terminal import span

PAUSE = 0.2
Show = Callable[[Row], None]


async def watch(app: AsyncCoreMachine, job_id: str, show: Show) -> Row:
    """Show a job until it has ended, and return it."""
    while True:
        job = await app.job(job_id)
        show(job)
        if JOB.by_name[job["status"]].terminal:
            return job
        await pause(PAUSE)


@contextmanager
def progress_shown() -> Generator[Show]:
    """Something to show a job to, again and again, as long as the block lasts."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines().show
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", justify="right"),
        TextColumn("{task.fields[failed]}", style="red"),
        TextColumn("{task.fields[elapsed]}", style="dim"),
        console=console,
    )
    with bars:
        yield Bars(bars).show


class Lines:
    """A line on standard error for each change of a stage."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def show(self, job: Row) -> None:
        """Write the lines of the stages that have changed."""
        for stage in job["stages"]:
            before = self._known.get(stage["stage"], STAGE.initial.name)
            self._known[stage["stage"]] = stage["status"]
            if stage["status"] != before:
                told = f"stage {stage['stage']}/{job['stage_count']} {stage['name']}: {stage['status']}"
                sys.stderr.write(f"{told}, {_count(stage)} tasks{_failed(stage)}\n")
        sys.stderr.flush()


class Bars:
    """A bar for each stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._rows: dict[int, TaskID] = {}
        self._seen: dict[int, float] = {}

    def show(self, job: Row) -> None:
        """Bring every bar to where its stage is."""
        for stage in job["stages"]:
            number = stage["stage"]
            if number not in self._rows:
                name = f"{number}/{job['stage_count']} {stage['name']}"
                self._rows[number] = self._bars.add_task(name, count="", failed="", elapsed="")
            self._bars.update(
                self._rows[number],
                total=max(1, stage["tasks_total"]),
                completed=1 if stage["status"] == "completed" and not stage["tasks_total"] else _ended(stage),
                count=_count(stage) if stage["started_at"] else "",
                failed=_failed(stage),
                elapsed=self._elapsed(stage),
            )

    def _elapsed(self, stage: Row) -> str:
        if stage["started_at"] is None:
            return ""
        if stage["finished_at"] is not None:
            return span(stage["finished_at"] - stage["started_at"])
        since = self._seen.setdefault(stage["stage"], time.monotonic())
        return span(timedelta(seconds=time.monotonic() - since))


def _ended(stage: Row) -> int:
    return int(stage["tasks_completed"] + stage["tasks_failed"] + stage["tasks_cancelled"])


def _count(stage: Row) -> str:
    return f"{_ended(stage)}/{stage['tasks_total']}"


def _failed(stage: Row) -> str:
    return f" ({stage['tasks_failed']} failed)" if stage["tasks_failed"] else ""

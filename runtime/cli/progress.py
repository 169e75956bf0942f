"""Progress of a job while it runs: a live bar for each stage on a terminal, a line for each change elsewhere.

It goes to standard error, so that standard output holds only what the command prints.
"""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from ...statemachine.lifecycles import STAGE
from ..app import AsyncCoreMachine
from .job_view import JobView, StageView, load_job
from .sleep import cancellable_sleep
from .terminal import format_duration

POLL_SECONDS = 0.2
ShowJob = Callable[[JobView], None]


async def watch_job(app: AsyncCoreMachine, job_id: str, show: ShowJob) -> JobView:
    """Show a job until it has ended, and return it."""
    while True:
        job = await load_job(app, job_id)
        show(job)
        if job.state.terminal:
            return job
        await cancellable_sleep(POLL_SECONDS)


@contextmanager
def live_progress() -> Generator[ShowJob]:
    """A function that shows a job; call it again after each change, as long as the block lasts."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield ProgressLines().show
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
        yield ProgressBars(bars).show


class ProgressLines:
    """A line on standard error for each change of a stage."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def show(self, job: JobView) -> None:
        """Write the lines of the stages that have changed."""
        for stage in job.stages:
            before = self._known.get(stage.number, STAGE.initial.name)
            self._known[stage.number] = stage.status
            if stage.status != before:
                change = f"stage {stage.number}/{job.stage_count} {stage.name}: {stage.status}"
                sys.stderr.write(f"{change}, {_count(stage)} tasks{_failed(stage)}\n")
        sys.stderr.flush()


class ProgressBars:
    """A bar for each stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._rows: dict[int, TaskID] = {}
        self._started: dict[int, float] = {}

    def show(self, job: JobView) -> None:
        """Update the bar of each stage."""
        for stage in job.stages:
            if stage.number not in self._rows:
                name = f"{stage.number}/{job.stage_count} {stage.name}"
                self._rows[stage.number] = self._bars.add_task(name, count="", failed="", elapsed="")
            succeeded = stage.state.terminal and not stage.state.failure
            self._bars.update(
                self._rows[stage.number],
                total=max(1, stage.tasks_total),
                completed=1 if succeeded and not stage.tasks_total else stage.tasks_ended,
                count=_count(stage) if stage.started_at else "",
                failed=_failed(stage),
                elapsed=self._elapsed(stage),
            )

    def _elapsed(self, stage: StageView) -> str:
        if stage.started_at is None:
            return ""
        if stage.finished_at is not None:
            return format_duration(stage.finished_at - stage.started_at)
        since = self._started.setdefault(stage.number, time.monotonic())
        return format_duration(timedelta(seconds=time.monotonic() - since))


def _count(stage: StageView) -> str:
    return f"{stage.tasks_ended}/{stage.tasks_total}"


def _failed(stage: StageView) -> str:
    return f" ({stage.tasks_failed} failed)" if stage.tasks_failed else ""

"""Throughput of tasks that do nothing: in a job of 1 → N → 1, or in a flat queue."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal
from uuid import uuid4

from ...statemachine.errors import OperationError
from ...statemachine.job import Job
from ..app import AsyncCoreMachine
from ..settings import Settings
from .cost import cost_so_far
from .environment import read_environment
from .jobs import FAN, FLAT
from .processes import workers
from .scratch_schema import scratch_schema
from .upper_bound import UpperBound, measure_upper_bound

Shape = Literal["fan", "flat"]
WARM_UP = 1000
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how fast it was, and what a task cost. Microseconds are of processor time, None if unknown."""

    tasks_per_second: float
    seconds: float
    python_us_per_task: float | None
    server_us_per_task: float | None
    wal_bytes_per_task: float
    row_versions_per_task: float
    events_per_task: float


async def throughput(settings: Settings, *, tasks: int, processes: int, runs: int, shape: Shape) -> dict[str, object]:
    """Run `runs` jobs of `tasks` tasks with `processes` workers, in alternation with runs of the upper bound.

    Returns what `coremachine bench throughput --json` prints. Raises NotDurableError.
    """
    measured: list[Run] = []
    bounds: list[UpperBound] = []
    async with scratch_schema(settings) as app:
        environment = await read_environment(app.database)
        for _ in range(runs):
            bounds.append(await measure_upper_bound(app, tasks, processes))
            async with workers(app, processes) as pids:
                await run_once(app, FAN if shape == "fan" else FLAT, min(WARM_UP, tasks), [])
                measured.append(await run_once(app, FAN if shape == "fan" else FLAT, tasks, pids))
    speeds = [run.tasks_per_second for run in measured]
    return {
        "benchmark": f"throughput {shape}",
        "tasks": tasks,
        "workers": processes,
        "tasks_per_second": round(median(speeds), 1),
        "spread": [round(min(speeds), 1), round(max(speeds), 1)],
        "upper_bound_tasks_per_second": round(median(bound.tasks_per_second for bound in bounds), 1),
        "share_of_upper_bound": round(
            median(s / bound.tasks_per_second for s, bound in zip(speeds, bounds, strict=True)), 3
        ),
        **_medians(measured),
        "runs": [asdict(run) for run in measured],
        "where": asdict(environment),
    }


async def run_once(app: AsyncCoreMachine, job: Job, tasks: int, pids: Sequence[int]) -> Run:
    """One job of `tasks` tasks, from submission to end; `pids` are the worker processes."""
    before = await cost_so_far(app.database, pids)
    submitted = await app.submit(job, key=uuid4().hex, n=tasks)
    seconds = await wait_for_end(app, submitted.id)
    cost = (await cost_so_far(app.database, pids)).since(before)
    async with app.database.session() as session:
        (written,) = await session.fetch("bench/rows_written", {"job_id": submitted.id})
        if job is FLAT:
            (drained,) = await session.fetch("bench/flat_times", {"job_id": submitted.id})
            seconds = drained["seconds"]
    return Run(
        tasks_per_second=tasks / seconds,
        seconds=seconds,
        python_us_per_task=_per_task(cost.python, tasks),
        server_us_per_task=_per_task(cost.server, tasks),
        wal_bytes_per_task=cost.wal_bytes / tasks,
        row_versions_per_task=float(written["row_versions"]) / tasks,
        events_per_task=written["events"] / tasks,
    )


async def wait_for_end(app: AsyncCoreMachine, job_id: str) -> float:
    """Wait for the end of a job, and return how long the job took. Raises OperationError unless it completed."""
    while True:
        async with app.database.session() as session:
            (row,) = await session.fetch("bench/job_times", {"job_id": job_id})
        if row["seconds"] is not None:
            if row["status"] != "completed":
                raise OperationError(f"the measured job {job_id} is {row['status']}; its timeline shows why")
            return float(row["seconds"])
        await asyncio.sleep(POLL_SECONDS)


def _per_task(seconds: float | None, tasks: int) -> float | None:
    return None if seconds is None else round(seconds * 1_000_000 / tasks, 1)


def _medians(runs: Sequence[Run]) -> dict[str, float | None]:
    names = (
        "python_us_per_task",
        "server_us_per_task",
        "wal_bytes_per_task",
        "row_versions_per_task",
        "events_per_task",
    )
    return {name: _median([getattr(run, name) for run in runs]) for name in names}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 1) if known else None

"""All that is known of one job that has ended: rows, events, side effects, and what the driver requested."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..store.database import Database
from ..store.session import Row
from .side_effects import Line, read_lines


@dataclass(slots=True)
class Requests:
    """How often the driver has requested a cancellation and a resumption; some of them may have been refused."""

    cancels: int = 0
    resumes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """One job, read in one snapshot. Events are in their order."""

    job: Row
    stages: Sequence[Row]
    tasks: Sequence[Row]
    callbacks: Sequence[Row]
    events: Sequence[Row]
    lines: Sequence[Line]
    requests: Requests = field(default_factory=Requests)

    @property
    def seed(self) -> int:
        """The job's own seed."""
        seed: int = self.job["parameters"]["seed"]
        return seed

    def events_of(self, *types: str, task_id: str | None = None) -> list[Row]:
        """The events of these types, of the whole job or of one task."""
        return [
            event
            for event in self.events
            if event["event_type"] in types and (task_id is None or event["task_id"] == task_id)
        ]

    def stage_of(self, task: Row) -> Row:
        """The stage of a task."""
        number: int = task["stage"]
        return self.stages[number - 1]

    def count(self, what: str) -> int:
        """The number of lines with this word."""
        return sum(line.what == what for line in self.lines)


async def read_snapshot(database: Database, job_id: str, file: Path, requests: Requests) -> JobSnapshot:
    """Read one job. The lines are read last: a line may be older than its event, never newer than its completion."""
    key = {"job_id": job_id}
    async with database.snapshot() as session:
        (job,) = await session.fetch("flow/load_job", key)
        stages = await session.fetch("flow/load_stages", key)
        tasks = await session.fetch("soak/tasks_of_job", key)
        callbacks = await session.fetch("soak/callbacks_of_job", key)
        events = await session.fetch("soak/events_of_job", key)
    return JobSnapshot(
        job=job,
        stages=stages,
        tasks=tasks,
        callbacks=callbacks,
        events=events,
        lines=read_lines(file),
        requests=requests,
    )

"""All that is known of one job: its rows and events, read in one snapshot, and the lines of its handlers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coremachine.runtime.store.database import Database
from coremachine.runtime.store.session import Row
from tests.storm.side_effects import Line, read_lines

SHOWN = 300
CLAIM = ("task_id", "attempt", "lease_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot:
    """One job. Stages, tasks and events are in their order."""

    job: Row
    stages: Sequence[Row]
    tasks: Sequence[Row]
    events: Sequence[Row]
    lines: Sequence[Line]

    @property
    def seed(self) -> int:
        """The job's own seed."""
        seed: int = self.job["parameters"]["seed"]
        return seed

    def tasks_of(self, stage: Row) -> list[Row]:
        """The tasks of a stage."""
        return [task for task in self.tasks if task["stage"] == stage["stage"]]

    def stage_of(self, task: Row) -> str:
        """The name of a task's stage."""
        number: int = task["stage"]
        name: str = self.stages[number - 1]["name"]
        return name

    def events_of(self, event_type: str, task: Row) -> list[Row]:
        """The events of this type of a task."""
        return [
            event for event in self.events if event["event_type"] == event_type and event["task_id"] == task["task_id"]
        ]

    def timeline(self) -> tuple[str, ...]:
        """Events and lines together, by time."""
        entries = [(event["created_at"], _event(event)) for event in self.events]
        entries += [(datetime.fromtimestamp(line.at, UTC), _line(line)) for line in self.lines]
        return tuple(f"{at.astimezone(UTC):%H:%M:%S.%f} {text}" for at, text in sorted(entries, key=lambda one: one[0]))


async def read_snapshot(database: Database, job_id: str, file: Path) -> JobSnapshot:
    """Read one job. The lines are read last: a line is never newer than the completion of its task."""
    key = {"job_id": job_id}
    async with database.snapshot() as session:
        (job,) = await session.fetch("flow/load_job", key)
        stages = await session.fetch("flow/load_stages", key)
        tasks = await session.fetch("soak/tasks_of_job", key)
        events = await session.fetch("soak/events_of_job", key)
    return JobSnapshot(job=job, stages=stages, tasks=tasks, events=events, lines=read_lines(file))


def _event(event: Row) -> str:
    place = " ".join(f"{name}={event[name]}" for name in CLAIM if event[name])
    return f"{event['event_id']} {event['event_type']} {place} {event['event_data']}"[:SHOWN]


def _line(line: Line) -> str:
    place = f"{line.stage} {line.index} attempt {line.attempt} lease {line.lease_number}"
    return f"    outside: {line.what} {place} in process {line.pid}"

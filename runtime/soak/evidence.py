"""All that is known of one job that has ended: rows, events, the lines outside, and what the driver did to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..store.database import Database
from ..store.session import Row
from .effects import Line, lines_of


@dataclass(slots=True)
class Deeds:
    """How often the driver has asked for a cancellation and for a resumption. Asked is not granted."""

    cancels: int = 0
    resumes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One job, read in one snapshot. Events stand in their order."""

    job: Row
    stages: Sequence[Row]
    tasks: Sequence[Row]
    callbacks: Sequence[Row]
    events: Sequence[Row]
    lines: Sequence[Line]
    deeds: Deeds = field(default_factory=Deeds)

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
        """How many lines say this."""
        return sum(line.what == what for line in self.lines)


async def read_evidence(database: Database, job_id: str, file: Path, deeds: Deeds) -> Evidence:
    """Read one job. The lines are read last: a line can be older than its event, never younger than its completion."""
    asked = {"job_id": job_id}
    async with database.transaction() as session:
        await session.run("store/read_only_snapshot")
        (job,) = await session.fetch("flow/load_job", asked)
        stages = await session.fetch("flow/load_stages", asked)
        tasks = await session.fetch("soak/tasks_of_job", asked)
        callbacks = await session.fetch("soak/callbacks_of_job", asked)
        events = await session.fetch("soak/events_of_job", asked)
    lines = lines_of(file)
    return Evidence(job=job, stages=stages, tasks=tasks, callbacks=callbacks, events=events, lines=lines, deeds=deeds)

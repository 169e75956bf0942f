"""Rows, as the flow uses them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...statemachine.definitions import JobDefinition, StageDefinition
from .session import Row


class ClaimedTask(NamedTuple):
    """A task that this worker holds, until its lease expires."""

    key: str
    job_id: str
    stage_id: int
    stage: int
    task_index: int
    task_number: int
    task_type: str
    item: Any
    attempt: int
    max_attempts: int
    lease_number: int
    deadline_at: datetime | None
    lease_owner: str
    rescues: int
    max_rescues: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCallback:
    """A callback that this worker holds, until its lease expires."""

    key: str
    job_id: str
    job_type: str
    name: str
    attempt: int
    max_attempts: int
    lease_number: int
    lease_owner: str
    rescues: int
    max_rescues: int


@dataclass(frozen=True, slots=True)
class JobMessage:
    """A job message that this worker is handling. The lease number fences it."""

    job_id: str
    job_type: str
    lease_number: int

    @classmethod
    def of(cls, row: Row) -> "JobMessage":
        """From a row that a claim won."""
        return cls(row["job_id"], row["job_type"], row["lease_number"])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as it was read. A field has its default if the statement does not read the column."""

    job_id: str
    job_type: str
    status: str
    parameters: Mapping[str, Any]
    definition: JobDefinition
    tasks_total: int
    lease_number: int
    lease_owner: str | None = None
    message_failures: int | None = None
    deadline: timedelta | None = None
    is_overdue: bool | None = None
    result: Any = None

    @classmethod
    def of(cls, row: Row) -> "JobRow":
        """From a row of lock_jobs or load_job, or of a claim."""
        known: dict[str, Any] = {name: row[name] for name in cls.__slots__ if name in row}
        known["definition"] = JobDefinition(row["definition"])
        return cls(**known)


@dataclass(slots=True, kw_only=True)
class StageRow:
    """A stage as it was read. The database counts its tasks: after a move its counters are read again."""

    stage_id: int
    job_id: str
    stage: int
    name: str
    task_type: str
    status: str
    definition: StageDefinition
    tasks_total: int
    tasks_open: int
    tasks_completed: int
    tasks_failed: int
    tasks_cancelled: int
    stop_reason: str | None
    stop_why: str | None
    stopped_at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> "StageRow":
        """From a row of lock_stages or load_stages, or of a claim of its job."""
        known: dict[str, Any] = {name: row[name] for name in cls.__slots__ if name in row}
        known["definition"] = StageDefinition(row["definition"])
        return cls(**known)

    @property
    def counters(self) -> dict[str, int]:
        """The counters of its tasks, for its events."""
        return {
            "tasks_total": self.tasks_total,
            "tasks_completed": self.tasks_completed,
            "tasks_failed": self.tasks_failed,
            "tasks_cancelled": self.tasks_cancelled,
        }

    def update_counters(self, row: Row) -> None:
        """Copy the counters of a row that was read later."""
        for name in ("tasks_total", "tasks_open", "tasks_completed", "tasks_failed", "tasks_cancelled"):
            setattr(self, name, row[name])

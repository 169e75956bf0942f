"""Rows of the queries in `web/`, typed. A query's result is converted once, where it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ...store.session import Row


@dataclass(slots=True)
class DatabaseRow:
    """One row. Not frozen: that would multiply the time to convert a row."""

    @classmethod
    def of(cls, row: Row) -> Self:
        """Convert a row. Columns without a field are dropped; a missing column raises KeyError."""
        names: tuple[str, ...] = cls.__match_args__
        return cls(*[row[name] for name in names])


@dataclass(slots=True)
class EventRow(DatabaseRow):
    """An event of the log, with the number of its task."""

    event_id: int
    event_type: str
    event_status: str
    created_at: datetime
    stage: int | None
    task_number: int | None
    event_data: Mapping[str, object]
    attempt: int | None
    lease_number: int | None


@dataclass(slots=True)
class StreamedEventRow(EventRow):
    """An event with its transaction, which orders a stream."""

    transaction_id: str


@dataclass(slots=True)
class JobListRow(DatabaseRow):
    """A job of the job list. `counts` has per stage: status, and tasks in total, completed, failed and cancelled."""

    job_id: str
    job_type: str
    status: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stage_count: int
    tasks_total: int
    error: Mapping[str, object] | None
    now: datetime
    stage: int | None
    tasks_ended: int | None
    counts: Sequence[tuple[str, int, int, int, int]]
    last_event: EventRow | None


@dataclass(slots=True)
class JobStageRow(DatabaseRow):
    """A stage of a job."""

    stage_id: int
    job_id: str
    stage: int
    name: str
    task_type: str
    status: str
    tasks_total: int
    tasks_completed: int
    tasks_failed: int
    tasks_cancelled: int
    stop_reason: str | None
    error: Mapping[str, object] | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def tasks_ended(self) -> int:
        """The number of tasks that have completed, failed or been cancelled."""
        return self.tasks_completed + self.tasks_failed + self.tasks_cancelled


@dataclass(slots=True)
class JobPageRow(DatabaseRow):
    """A job with its stages. `stage_rows` are the same stages as the other layers take them."""

    job_id: str
    job_type: str
    status: str
    stage_count: int
    tasks_total: int
    submission_key: str | None
    parameters: dict[str, Any] | None
    result: Any
    error: Mapping[str, object] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stages: Sequence[JobStageRow]
    stage_rows: Sequence[Row]


@dataclass(slots=True)
class TaskRow(DatabaseRow):
    """A task of a job."""

    task_id: str
    task_number: int
    task_index: int
    stage: int
    stage_name: str
    task_type: str
    status: str
    attempt: int
    max_attempts: int
    rescues: int
    lease_owner: str | None
    lease_expires_at: datetime | None
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, object] | None


@dataclass(slots=True)
class TaskDetailRow(TaskRow):
    """A task with its input and its result."""

    item: Any
    result: Any


@dataclass(slots=True)
class WorkerRow(DatabaseRow):
    """A worker's last heartbeat. `runs` and `failures` count the runs of its reconciler."""

    worker: str
    seen_at: datetime
    stopped_at: datetime | None
    runs: int
    failures: int
    last_error: Mapping[str, object] | None
    stuck: bool
    alive: bool


@dataclass(slots=True)
class LeaseRow(DatabaseRow):
    """The leases of one worker: how many, and when the first of them expires."""

    worker: str
    tasks: int
    first_ends: datetime


@dataclass(slots=True)
class BacklogRow(DatabaseRow):
    """What is due and not claimed, of one kind: jobs, tasks or callbacks."""

    kind: str
    due: int
    oldest: datetime | None
    now: datetime


@dataclass(slots=True)
class StateCountRow(DatabaseRow):
    """The number of rows in one state of one lifecycle."""

    machine: str
    status: str
    number: int

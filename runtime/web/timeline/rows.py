"""Rows of the queries behind the chart, typed."""

from dataclasses import dataclass
from datetime import datetime

from ..api.rows import DatabaseRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartTaskRow(DatabaseRow):
    """A task that is drawn. `why` is the reason that it was picked, 0 if all tasks of the stage are drawn."""

    task_id: str
    task_number: int
    status: str
    attempt: int
    max_attempts: int
    rescues: int
    lease_owner: str | None
    lease_number: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    error_type: str | None
    why: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEventRow(DatabaseRow):
    """An event of a task that is drawn. `event_id` is None if the event is derived from the task's own columns."""

    task_id: str
    event_id: int | None
    event_type: str
    event_status: str
    created_at: datetime
    attempt: int
    worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCountRow(DatabaseRow):
    """How many tasks of a stage entered a condition in bucket `began` and left it in bucket `ended`.

    Without `event_type` the tasks started once, and `status` is their state now; otherwise they are those of one event.
    """

    event_type: str | None
    status: str | None
    tasks: int
    began: int | None
    ended: int | None

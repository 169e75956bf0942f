"""Typed rows of the chart's queries."""

from dataclasses import dataclass
from datetime import datetime

from ..api.rows import DatabaseRow


@dataclass(slots=True)
class ChartTaskRow(DatabaseRow):
    """A task to draw. `why` is the reason for which it was picked, 0 if all tasks are drawn."""

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
    why: int


@dataclass(slots=True)
class ChartEventRow(DatabaseRow):
    """An event of a task. `event_id` is None if the event is implied by the times in the task's row."""

    task_id: str
    event_id: int | None
    event_type: str
    event_status: str
    created_at: datetime
    attempt: int
    worker: str | None


@dataclass(slots=True)
class TaskCountRow(DatabaseRow):
    """How many tasks entered a condition in bucket `began` and left it in bucket `ended`.

    Tasks that started at most once are counted by `status`, their current state. The others are counted by the event
    that began the condition.
    """

    event_type: str | None
    status: str | None
    tasks: int
    began: int | None
    ended: int | None

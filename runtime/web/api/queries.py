"""The queries of the routes and pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from ....statemachine.lifecycles import HEADLINES
from ...app import AsyncCoreMachine
from ...store.database import PATIENCE_SECONDS
from ...store.session import Row
from ..access.policy import Visitor
from ..problems import NotFoundError
from .filters import EventFilter, JobFilter, TaskFilter
from .paging import decode_cursor, encode_cursor
from .response_models_status import DiagnosisResponse
from .rows import EventRow, JobListRow, JobPageRow, JobStageRow, StateCountRow, TaskDetailRow, TaskRow
from .serializers import diagnosis_events, serialize_diagnosis, serialize_event

MAX_TASK_EVENTS = 1000
T = TypeVar("T")


async def read_jobs(
    machine: AsyncCoreMachine, visitor: Visitor, filters: JobFilter
) -> tuple[list[JobListRow], str | None]:
    """A page of jobs, newest first, and the cursor of the next."""
    at, job_id = decode_cursor(filters.after, (datetime, str)) if filters.after else (None, None)
    parameters: dict[str, object] = {
        "status": filters.status,
        "job_type": filters.job_type,
        "since": filters.since,
        "until": filters.until,
        "text": filters.text or None,
        "after_at": at,
        "after_id": job_id,
        "limit": filters.limit + 1,
        "operator": visitor.is_operator,
    }
    jobs = [_job_list_row(row) for row in await _fetch(machine, "web/jobs_page", parameters)]
    page, last = _cut_page(jobs, filters.limit)
    return page, encode_cursor(last.created_at, last.job_id) if last else None


async def read_job(machine: AsyncCoreMachine, job_id: str) -> JobPageRow:
    """One job with its stages, by its id or an unambiguous prefix. Raises UnknownJobError."""
    row = await machine.job(job_id)
    stages = [JobStageRow.of(stage) for stage in row["stages"]]
    return JobPageRow.of({**row, "stages": stages, "stage_rows": row["stages"]})


async def read_events(
    machine: AsyncCoreMachine, visitor: Visitor, job_id: str, filters: EventFilter
) -> tuple[list[EventRow], str | None]:
    """A page of a job's events, oldest first, and the cursor of the next. Raises NotFoundError for an unknown task."""
    (after,) = decode_cursor(filters.after, (int,)) if filters.after else (0,)
    task_id = (await read_task(machine, job_id, filters.task)).task_id if filters.task is not None else None
    parameters = {
        "job_id": job_id,
        "after": after,
        "statuses": [filters.status] if filters.status else None,
        "types": list(HEADLINES) if filters.level == "headlines" else None,
        "stage": filters.stage,
        "task_id": task_id,
        "text": filters.text or None,
        "operator": visitor.is_operator,
        "limit": filters.limit + 1,
    }
    events = [EventRow.of(row) for row in await _fetch(machine, "web/events_page", parameters)]
    page, last = _cut_page(events, filters.limit)
    return page, encode_cursor(last.event_id) if last else None


async def read_tasks(machine: AsyncCoreMachine, job_id: str, filters: TaskFilter) -> tuple[list[TaskRow], str | None]:
    """A page of a job's tasks, stage by stage, and the cursor of the next."""
    after_stage, after_index = decode_cursor(filters.after, (int, int)) if filters.after else (0, -1)
    parameters = {
        "job_id": job_id,
        "stage": filters.stage,
        "status": filters.status,
        "after_stage": after_stage,
        "after_index": after_index,
        "limit": filters.limit + 1,
    }
    tasks = [TaskRow.of(row) for row in await _fetch(machine, "web/tasks_page", parameters)]
    page, last = _cut_page(tasks, filters.limit)
    return page, encode_cursor(last.stage, last.task_index) if last else None


async def read_task(machine: AsyncCoreMachine, job_id: str, number: int) -> TaskDetailRow:
    """One task of a job. Raises NotFoundError."""
    rows = await _fetch(machine, "web/task_by_number", {"job_id": job_id, "number": number})
    if not rows:
        remedy = f"GET /api/jobs/{job_id[:12]}/tasks lists them"
        raise NotFoundError("task", f"job {job_id[:12]} has no task {number}", remedy)
    return TaskDetailRow.of(rows[0])


async def read_task_events(machine: AsyncCoreMachine, task: TaskRow) -> list[EventRow]:
    """The events of a task, oldest first, at most a thousand."""
    parameters = {"task_id": task.task_id, "limit": MAX_TASK_EVENTS}
    return [EventRow.of(row) for row in await _fetch(machine, "web/task_events", parameters)]


async def read_diagnosis(machine: AsyncCoreMachine, visitor: Visitor, job_id: str) -> DiagnosisResponse:
    """The diagnosis of a job, with its events as the visitor may see them."""
    diagnosis = await machine.why(job_id)
    ids = [event.event_id for event in diagnosis_events(diagnosis)]
    events = [EventRow.of(row) for row in await _fetch(machine, "web/events_by_id", {"event_ids": ids})]
    return serialize_diagnosis(diagnosis, {event.event_id: serialize_event(event, visitor) for event in events})


async def read_now(machine: AsyncCoreMachine) -> tuple[datetime, str]:
    """The database time, and the cursor for a stream of everything written after it."""
    (row,) = await _fetch(machine, "web/now", {})
    now: datetime = row["now"]
    return now, f"{row['horizon']}-0"


async def read_last_event_id(machine: AsyncCoreMachine) -> int:
    """The id of the last event of all jobs, 0 if there is none."""
    (row,) = await _fetch(machine, "web/last_event_id", {})
    return int(row["last"] or 0)


async def read_state_counts(machine: AsyncCoreMachine) -> list[StateCountRow]:
    """The number of jobs, stages, tasks and callbacks in each state."""
    return [StateCountRow.of(row) for row in await _fetch(machine, "web/states_of_jobs", {})]


async def _fetch(machine: AsyncCoreMachine, name: str, parameters: Mapping[str, object]) -> list[Row]:
    async with machine.database.session(PATIENCE_SECONDS) as session:
        return await session.fetch(name, parameters)


def _job_list_row(row: Row) -> JobListRow:
    return JobListRow.of({**row, "last_event": _last_event(row) if row["event_id"] else None})


def _last_event(row: Row) -> EventRow:
    renamed = {"created_at": row["event_at"], "stage": row["event_stage"], "attempt": None, "lease_number": None}
    return EventRow.of({**row, **renamed})


def _cut_page(rows: list[T], limit: int) -> tuple[list[T], T | None]:
    """The first `limit` rows, and the last of them if there are more rows: the queries read one more than the limit."""
    page = rows[:limit]
    return page, page[-1] if len(rows) > limit else None

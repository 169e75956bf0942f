"""What the routes and the pages read."""

from collections.abc import Mapping
from datetime import datetime

from ....statemachine.lifecycles import HEADLINES
from ...app import AsyncCoreMachine
from ...store.session import Row
from ..access.policy import Visitor
from ..problems import NotFoundError
from .filters import EventFilter, JobFilter, TaskFilter
from .paging import decode_cursor, encode_cursor
from .response_models_status import DiagnosisResponse
from .serializers import diagnosis_events, serialize_diagnosis, serialize_event

MAX_TASK_EVENTS = 1000


async def read_jobs(machine: AsyncCoreMachine, visitor: Visitor, filters: JobFilter) -> tuple[list[Row], str | None]:
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
    rows = await _fetch(machine, "web/jobs_page", parameters)
    return _cut_page(rows, filters.limit, ("created_at", "job_id"))


async def read_events(
    machine: AsyncCoreMachine, visitor: Visitor, job_id: str, filters: EventFilter
) -> tuple[list[Row], str | None]:
    """A page of a job's events, oldest first, and the cursor of the next. Raises NotFoundError for an unknown task."""
    (after,) = decode_cursor(filters.after, (int,)) if filters.after else (0,)
    task_id = None
    if filters.task is not None:
        task_id = (await read_task(machine, job_id, filters.task))["task_id"]
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
    rows = await _fetch(machine, "web/events_page", parameters)
    return _cut_page(rows, filters.limit, ("event_id",))


async def read_tasks(machine: AsyncCoreMachine, job_id: str, filters: TaskFilter) -> tuple[list[Row], str | None]:
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
    return _cut_page(await _fetch(machine, "web/tasks_page", parameters), filters.limit, ("stage", "task_index"))


async def read_task(machine: AsyncCoreMachine, job_id: str, number: int) -> Row:
    """One task of a job. Raises NotFoundError."""
    rows = await _fetch(machine, "web/task_by_number", {"job_id": job_id, "number": number})
    if not rows:
        remedy = f"GET /api/jobs/{job_id[:12]}/tasks lists them"
        raise NotFoundError("task", f"job {job_id[:12]} has no task {number}", remedy)
    return rows[0]


async def read_task_events(machine: AsyncCoreMachine, task: Row) -> list[Row]:
    """What happened to a task, oldest first, at most a thousand events."""
    where = {"task_id": task["task_id"], "limit": MAX_TASK_EVENTS}
    return await _fetch(machine, "web/task_events", where)


async def read_why(machine: AsyncCoreMachine, visitor: Visitor, job_id: str) -> DiagnosisResponse:
    """Why a job is where it is, with its two events as the list of events has them."""
    diagnosis = await machine.why(job_id)
    ids = [event.event_id for event in diagnosis_events(diagnosis).values() if event]
    rows = await _fetch(machine, "web/events_by_id", {"event_ids": ids})
    return serialize_diagnosis(diagnosis, {row["event_id"]: serialize_event(row, visitor) for row in rows})


async def read_now(machine: AsyncCoreMachine) -> tuple[datetime, str]:
    """The time, and the id from which a stream goes on that misses nothing written after this moment."""
    row = (await _fetch(machine, "web/now", {}))[0]
    return row["now"], f"{row['horizon']}-0"


async def read_last_event_id(machine: AsyncCoreMachine) -> int:
    """The id of the last event there is, of any job."""
    rows = await _fetch(machine, "web/last_event_id", {})
    return int(rows[0]["last"] or 0)


async def _fetch(machine: AsyncCoreMachine, name: str, parameters: Mapping[str, object]) -> list[Row]:
    async with machine.database.session() as session:
        return await session.fetch(name, parameters)


def _cut_page(rows: list[Row], limit: int, columns: tuple[str, ...]) -> tuple[list[Row], str | None]:
    """One row more than asked for was read, to know whether a page follows."""
    page = rows[:limit]
    has_more = len(rows) > limit
    return page, encode_cursor(*(page[-1][name] for name in columns)) if has_more else None

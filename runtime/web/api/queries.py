"""What the routes and the pages read."""

from collections.abc import Mapping
from datetime import datetime

from ....statemachine.lifecycles import HEADLINES
from ...app import AsyncCoreMachine
from ...store.session import Row
from ..access.policy import Visitor
from ..problems import NotThereError
from .filters import EventFilter, JobFilter, TaskFilter
from .paging import cursor_of, place_of
from .response_models_status import WhyBody
from .serializers import event_of, named_events, why_of

TASK_EVENTS = 1000


async def read_jobs(machine: AsyncCoreMachine, visitor: Visitor, wanted: JobFilter) -> tuple[list[Row], str | None]:
    """A page of jobs, newest first, and the cursor of the next."""
    at, job_id = place_of(wanted.after, (datetime, str)) if wanted.after else (None, None)
    given: dict[str, object] = {
        "status": wanted.status,
        "job_type": wanted.job_type,
        "since": wanted.since,
        "until": wanted.until,
        "text": wanted.text or None,
        "after_at": at,
        "after_id": job_id,
        "limit": wanted.limit + 1,
        "operator": visitor.operator,
    }
    rows = await _fetch(machine, "web/jobs_page", given)
    return _page(rows, wanted.limit, ("created_at", "job_id"))


async def read_events(
    machine: AsyncCoreMachine, visitor: Visitor, job_id: str, wanted: EventFilter
) -> tuple[list[Row], str | None]:
    """A page of a job's events, oldest first, and the cursor of the next. Raises NotThereError for an unknown task."""
    (after,) = place_of(wanted.after, (int,)) if wanted.after else (0,)
    task_id = None
    if wanted.task is not None:
        task_id = (await read_task(machine, job_id, wanted.task))["task_id"]
    given = {
        "job_id": job_id,
        "after": after,
        "statuses": [wanted.status] if wanted.status else None,
        "types": list(HEADLINES) if wanted.level == "headlines" else None,
        "stage": wanted.stage,
        "task_id": task_id,
        "text": wanted.text or None,
        "operator": visitor.operator,
        "limit": wanted.limit + 1,
    }
    rows = await _fetch(machine, "web/events_page", given)
    return _page(rows, wanted.limit, ("event_id",))


async def read_tasks(machine: AsyncCoreMachine, job_id: str, wanted: TaskFilter) -> tuple[list[Row], str | None]:
    """A page of a job's tasks, stage by stage, and the cursor of the next."""
    after_stage, after_index = place_of(wanted.after, (int, int)) if wanted.after else (0, -1)
    given = {
        "job_id": job_id,
        "stage": wanted.stage,
        "status": wanted.status,
        "after_stage": after_stage,
        "after_index": after_index,
        "limit": wanted.limit + 1,
    }
    return _page(await _fetch(machine, "web/tasks_page", given), wanted.limit, ("stage", "task_index"))


async def read_task(machine: AsyncCoreMachine, job_id: str, number: int) -> Row:
    """One task of a job. Raises NotThereError."""
    rows = await _fetch(machine, "web/task_by_number", {"job_id": job_id, "number": number})
    if not rows:
        remedy = f"GET /api/jobs/{job_id[:12]}/tasks lists them"
        raise NotThereError("task", f"job {job_id[:12]} has no task {number}", remedy)
    return rows[0]


async def read_task_events(machine: AsyncCoreMachine, task: Row) -> list[Row]:
    """What happened to a task, oldest first, at most a thousand events."""
    where = {"task_id": task["task_id"], "limit": TASK_EVENTS}
    return await _fetch(machine, "web/task_events", where)


async def read_why(machine: AsyncCoreMachine, visitor: Visitor, job_id: str) -> WhyBody:
    """Why a job is where it is, with its two events as the list of events has them."""
    told = await machine.why(job_id)
    ids = [event.event_id for event in named_events(told).values() if event]
    rows = await _fetch(machine, "web/events_by_id", {"event_ids": ids})
    return why_of(told, {row["event_id"]: event_of(row, visitor) for row in rows})


async def read_now(machine: AsyncCoreMachine) -> tuple[datetime, str]:
    """The time, and the id from which a stream goes on that misses nothing written after this moment."""
    row = (await _fetch(machine, "web/now", {}))[0]
    return row["now"], f"{row['horizon']}-0"


async def read_last_event_id(machine: AsyncCoreMachine) -> int:
    """The id of the last event there is, of any job."""
    rows = await _fetch(machine, "web/last_event_id", {})
    return int(rows[0]["last"] or 0)


async def _fetch(machine: AsyncCoreMachine, name: str, given: Mapping[str, object]) -> list[Row]:
    async with machine.database.session() as session:
        return await session.fetch(name, given)


def _page(rows: list[Row], limit: int, place: tuple[str, ...]) -> tuple[list[Row], str | None]:
    """One row more than asked for was read, to know whether a page follows."""
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, cursor_of(*(shown[-1][name] for name in place)) if more else None

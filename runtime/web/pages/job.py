"""The page of a job, and that of one of its tasks."""

from typing import Annotated, Literal, cast
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from ....diagrams.draw import DrawError
from ....statemachine.lifecycles import JOB
from ...app.history import read_lines
from ...store.session import Row
from ..api.actions import cancel_job, resume_job
from ..api.dependencies import Ask, Asking, JobRef, TaskRef
from ..api.filters import EventFilter, Number, Optional, Short
from ..api.lifecycle_svg import picture
from ..api.paging import cursor_of, place_of
from ..api.queries import read_events, read_now, read_task, read_task_events, read_why
from ..api.response_models import Event, TaskDetail
from ..api.response_models_status import CancelAsked
from ..api.serializers import event_of, job_of, task_of
from ..timeline.attempts import attempts_of
from ..timeline.chart import ChartAsked, read_chart
from .rendering import SHORT, page
from .verdict import verdict_of

router = APIRouter(include_in_schema=False)
LINES = 200
LONG = 100
LONGEST_REASON = 500


class JobView(EventFilter):
    """What of a job is shown: every state of the page is in its address."""

    level: Literal["all", "headlines"] = "headlines"
    zoom: Annotated[Short | None, Optional] = None
    opened: Annotated[Number | None, Optional, Field(alias="open")] = None
    rows: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    tz: Literal["local", "utc"] = "local"
    limit: int = LINES

    @property
    def narrow(self) -> bool:
        """Whether the list is filtered, and so is no timeline any more."""
        return self.level == "all" or any((self.status, self.stage, self.task, self.text))

    @property
    def task_alone(self) -> bool:
        """Whether it is filtered by a task and by nothing else: then all that happened to it is listed."""
        return self.task is not None and not any((self.status, self.stage, self.text, self.after))

    def link(self, **changed: object) -> str:
        """The address of this page with something changed; None takes it away."""
        left = {**self.said(), **{name: str(value) for name, value in changed.items() if value is not None}}
        kept = {name: value for name, value in left.items() if changed.get(name, value) is not None}
        return f"?{urlencode(kept)}"


@router.get("/jobs/{job_id}")
async def job_page(request: Request, ask: Asking, job_id: JobRef, view: Annotated[JobView, Query()]) -> HTMLResponse:
    """Is it moving, what worked last, what failed first and why, what does it wait for, and what can be done."""
    # first: what happens while the rest is read comes by the stream
    _, mark = await read_now(ask.machine)
    job = await ask.machine.job(job_id)
    told = await read_why(ask.machine, ask.visitor, job["job_id"])
    now, _ = await read_now(ask.machine)
    asked = ChartAsked(zoom=view.zoom, opened=view.opened, rows=view.rows)
    task = await _task(ask, job["job_id"], view.task) if view.task else None
    lines, following = (task.events, None) if task and view.task_alone else await _lines(ask, job, view)
    return page(
        request,
        "job.html",
        job=job_of(job, ask.visitor),
        counted_stages=job["stages"],
        verdict=verdict_of(told, job),
        chart=await read_chart(ask.machine, request.app.state.kept, ask.visitor, job, now, asked),
        lines=lines,
        sums={} if view.narrow else _sums(job),
        failed_at=_failed_at(lines, told.first_failure),
        following=view.link(after=following) if following else None,
        view=view,
        now=now,
        mark=mark,
        drawn=await _drawn(ask, job["status"]),
        task=task,
        attempts=attempts_of(task.events) if task else [],
    )


@router.get("/jobs/{job_id}/tasks/{number}")
async def task_page(request: Request, ask: Asking, job_id: JobRef, number: TaskRef) -> HTMLResponse:
    """Every attempt of a task: its worker, its times, its error; and what it was given and returned."""
    full = await ask.machine.full_id(job_id)
    _, mark = await read_now(ask.machine)
    task = await _task(ask, full, number)
    now, _ = await read_now(ask.machine)
    return page(
        request,
        "task.html",
        job_id=full,
        short=full[:SHORT],
        task=task,
        attempts=attempts_of(task.events),
        now=now,
        mark=mark,
    )


async def _drawn(ask: Ask, status: str) -> str:
    """The lifecycle of a job with its state lit; nothing where there is no Graphviz."""
    try:
        return await picture(JOB, lit=status, link=f"{ask.root}/jobs?status={{}}")
    except DrawError:
        return ""


async def _task(ask: Ask, job_id: str, number: int) -> TaskDetail:
    row = await read_task(ask.machine, job_id, number)
    return task_of(row, await read_task_events(ask.machine, row), ask.visitor)


async def _lines(ask: Ask, job: Row, view: JobView) -> tuple[list[Event], str | None]:
    """The events that are listed: those that match, or else the lines of the timeline."""
    if view.narrow:
        rows, following = await read_events(ask.machine, ask.visitor, job["job_id"], view)
        return [event_of(row, ask.visitor) for row in rows], following
    after = cast("int", place_of(view.after, (int,))[0]) if view.after else 0
    async with ask.machine.database.session() as session:
        rows = await read_lines(session, job["job_id"], job["stages"], _long(job), after=after, limit=LINES + 1)
    more = cursor_of(rows[LINES - 1]["event_id"]) if len(rows) > LINES else None
    return [event_of(row, ask.visitor) for row in rows[:LINES]], more


def _long(job: Row) -> list[int]:
    """The stages whose tasks are counted instead of listed: each costs two lines."""
    return [stage["stage"] for stage in job["stages"] if stage["tasks_total"] > LONG]


def _sums(job: Row) -> dict[int, Row]:
    return {stage["stage"]: stage for stage in job["stages"] if stage["stage"] in _long(job)}


def _failed_at(lines: list[Event], failure: Event | None) -> int | None:
    """The line at which ERROR HERE stands: the first failure, or where that is no headline, the next that is listed."""
    if failure is None:
        return None
    return next(
        (line.event_id for line in lines if line.status == "failure" and line.event_id >= failure.event_id), None
    )


@router.post("/jobs/{job_id}/resume")
async def resume_from_page(ask: Asking, job_id: JobRef) -> RedirectResponse:
    """Resume a job, and show it again."""
    await resume_job(ask, job_id)
    return RedirectResponse(f"{ask.root}/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/cancel")
async def cancel_from_page(request: Request, ask: Asking, job_id: JobRef) -> RedirectResponse:
    """Cancel a job, and show it again."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    reason = form.get("reason", [""])[0].strip()[:LONGEST_REASON]
    await cancel_job(ask, job_id, CancelAsked(reason=reason) if reason else None)
    return RedirectResponse(f"{ask.root}/jobs/{job_id}", status_code=303)

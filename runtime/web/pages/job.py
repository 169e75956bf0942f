"""The page of a job, and that of one of its tasks."""

from typing import Annotated, Literal, cast
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from ....diagrams.draw import DrawError
from ....statemachine.lifecycles import JOB
from ...app.history import read_lines
from ..api.actions import cancel_job, resume_job
from ..api.dependencies import Context, JobRef, RequestContext, TaskRef
from ..api.filters import EmptyAsNone, EventFilter, PositiveInt, ShortText
from ..api.lifecycle_svg import render_lifecycle
from ..api.paging import decode_cursor, encode_cursor
from ..api.queries import read_events, read_job, read_now, read_task, read_task_events, read_why
from ..api.response_models import Event, TaskDetail
from ..api.response_models_status import CancelRequest
from ..api.rows import EventRow, JobRow, JobStageRow
from ..api.serializers import serialize_event, serialize_job, serialize_task
from ..timeline.attempts import attempts_of
from ..timeline.chart import read_chart
from ..timeline.chart_data import ChartView
from .rendering import SHORT_ID_LENGTH, render_page
from .verdict import verdict_of

router = APIRouter(include_in_schema=False)
PAGE_SIZE = 200
SUMMARY_THRESHOLD = 100
MAX_REASON_LENGTH = 500


class JobView(EventFilter):
    """What of a job is shown: every state of the page is in its address."""

    level: Literal["all", "headlines"] = "headlines"
    zoom: Annotated[ShortText | None, EmptyAsNone] = None
    open_stage: Annotated[PositiveInt | None, EmptyAsNone, Field(alias="open")] = None
    rows: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    tz: Literal["local", "utc"] = "local"
    limit: int = PAGE_SIZE

    @property
    def filtered(self) -> bool:
        """Whether the list is filtered, and so is no timeline any more."""
        return self.level == "all" or any((self.status, self.stage, self.task, self.text))

    @property
    def only_task(self) -> bool:
        """Whether it is filtered by a task and by nothing else: then all that happened to it is listed."""
        return self.task is not None and not any((self.status, self.stage, self.text, self.after))

    def link(self, **changed: object) -> str:
        """The address of this page with something changed; None takes it away."""
        query = {**self.query(), **{name: str(value) for name, value in changed.items() if value is not None}}
        kept = {name: value for name, value in query.items() if changed.get(name, value) is not None}
        return f"?{urlencode(kept)}"


@router.get("/jobs/{job_id}")
async def job_page(
    request: Request, context: Context, job_id: JobRef, view: Annotated[JobView, Query()]
) -> HTMLResponse:
    """Is it moving, what worked last, what failed first and why, what does it wait for, and what can be done."""
    # first: what happens while the rest is read comes by the stream
    _, cursor = await read_now(context.machine)
    job = await read_job(context.machine, job_id)
    diagnosis = await read_why(context.machine, context.visitor, job.job_id)
    now, _ = await read_now(context.machine)
    chart_view = ChartView(now=now, zoom=view.zoom, open_stage=view.open_stage, first_row=view.rows)
    task = await _task(context, job.job_id, view.task) if view.task else None
    events, next_page = (task.events, None) if task and view.only_task else await _list_events(context, job, view)
    return render_page(
        request,
        "job.html",
        job=serialize_job(job, context.visitor),
        verdict=verdict_of(diagnosis, job),
        chart=await read_chart(context.machine, request.app.state.query_cache, context.visitor, job, chart_view),
        events=events,
        stage_summaries={} if view.filtered else _stage_summaries(job),
        error_event_id=_error_event_id(events, diagnosis.first_failure),
        next_page=view.link(after=next_page) if next_page else None,
        view=view,
        now=now,
        cursor=cursor,
        lifecycle_svg=await _lifecycle_svg(context, job.status),
        task=task,
        attempts=attempts_of(task.events) if task else [],
    )


@router.get("/jobs/{job_id}/tasks/{number}")
async def task_page(request: Request, context: Context, job_id: JobRef, number: TaskRef) -> HTMLResponse:
    """Every attempt of a task: its worker, its times, its error; and what it was given and returned."""
    full = await context.machine.full_id(job_id)
    _, cursor = await read_now(context.machine)
    task = await _task(context, full, number)
    now, _ = await read_now(context.machine)
    return render_page(
        request,
        "task.html",
        job_id=full,
        short=full[:SHORT_ID_LENGTH],
        task=task,
        attempts=attempts_of(task.events),
        now=now,
        cursor=cursor,
    )


async def _lifecycle_svg(context: RequestContext, status: str) -> str:
    """The lifecycle of a job with its state lit; nothing where there is no Graphviz."""
    try:
        return await render_lifecycle(JOB, highlight=status, link=f"{context.root}/jobs?status={{}}")
    except DrawError:
        return ""


async def _task(context: RequestContext, job_id: str, number: int) -> TaskDetail:
    row = await read_task(context.machine, job_id, number)
    return serialize_task(row, await read_task_events(context.machine, row), context.visitor)


async def _list_events(context: RequestContext, job: JobRow, view: JobView) -> tuple[list[Event], str | None]:
    """The events that are listed: those that match, or else the lines of the timeline."""
    if view.filtered:
        rows, next_page = await read_events(context.machine, context.visitor, job.job_id, view)
        return [serialize_event(row, context.visitor) for row in rows], next_page
    after = cast("int", decode_cursor(view.after, (int,))[0]) if view.after else 0
    async with context.machine.database.session() as session:
        rows = await read_lines(
            session, job.job_id, job.stage_rows, _summarized_stages(job), after=after, limit=PAGE_SIZE + 1
        )
    events = [serialize_event(EventRow.of(row), context.visitor) for row in rows[:PAGE_SIZE]]
    return events, encode_cursor(events[-1].event_id) if len(rows) > PAGE_SIZE else None


def _summarized_stages(job: JobRow) -> list[int]:
    """The stages whose tasks are counted instead of listed: each costs two lines."""
    return [stage.stage for stage in job.stages if stage.tasks_total > SUMMARY_THRESHOLD]


def _stage_summaries(job: JobRow) -> dict[int, JobStageRow]:
    summarized = _summarized_stages(job)
    return {stage.stage: stage for stage in job.stages if stage.stage in summarized}


def _error_event_id(events: list[Event], failure: Event | None) -> int | None:
    """The line at which ERROR HERE stands: the first failure, or where that is no headline, the next that is listed."""
    if failure is None:
        return None
    return next(
        (line.event_id for line in events if line.status == "failure" and line.event_id >= failure.event_id), None
    )


@router.post("/jobs/{job_id}/resume")
async def resume_from_page(context: Context, job_id: JobRef) -> RedirectResponse:
    """Resume a job, and show it again."""
    await resume_job(context, job_id)
    return RedirectResponse(f"{context.root}/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/cancel")
async def cancel_from_page(request: Request, context: Context, job_id: JobRef) -> RedirectResponse:
    """Cancel a job, and show it again."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    reason = form.get("reason", [""])[0].strip()[:MAX_REASON_LENGTH]
    await cancel_job(context, job_id, CancelRequest(reason=reason) if reason else None)
    return RedirectResponse(f"{context.root}/jobs/{job_id}", status_code=303)

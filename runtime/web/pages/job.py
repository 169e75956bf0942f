"""The pages of a job and of a task."""

from typing import Annotated, Literal, cast
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse

from ....diagrams.draw import DrawError
from ....statemachine.lifecycles import JOB
from ...app.history import read_lines
from ...store.database import PATIENCE_SECONDS
from ..api.actions import cancel_job, resume_job
from ..api.dependencies import Context, JobRef, RequestContext, TaskRef
from ..api.filters import MAX_INT, EmptyAsNone, EventFilter, PositiveInt, ShortText
from ..api.lifecycle_svg import render_lifecycle
from ..api.paging import decode_cursor, encode_cursor
from ..api.queries import read_diagnosis, read_events, read_job, read_now, read_task, read_task_events
from ..api.response_models import EventResponse, TaskDetail
from ..api.response_models_status import CancelRequest
from ..api.rows import EventRow, JobPageRow, JobStageRow
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


class JobPageView(EventFilter):
    """The view of a job's page. All of it is in the page's URL."""

    level: Literal["all", "headlines"] = "headlines"
    zoom: Annotated[ShortText | None, EmptyAsNone] = None
    open_stage: Annotated[PositiveInt | None, EmptyAsNone, Field(alias="open")] = None
    rows: Annotated[int, Field(ge=0, le=MAX_INT)] = 0
    tz: Literal["local", "utc"] = "local"
    limit: int = PAGE_SIZE

    @property
    def filtered(self) -> bool:
        """Whether the event list is filtered, instead of showing the timeline."""
        return self.level == "all" or any((self.status, self.stage, self.task, self.text))

    @property
    def only_task(self) -> bool:
        """Whether the only filter is a task. Then all events of the task are listed."""
        return self.task is not None and not any((self.status, self.stage, self.text, self.after))

    def link(self, **changed: object) -> str:
        """The URL of this page with some parameters changed; None removes one."""
        query = {**self.query(), **{name: str(value) for name, value in changed.items() if value is not None}}
        kept = {name: value for name, value in query.items() if changed.get(name, value) is not None}
        return f"?{urlencode(kept)}"


@router.get("/jobs/{job_id}")
async def job_page(
    request: Request, context: Context, job_id: JobRef, view: Annotated[JobPageView, Query()]
) -> HTMLResponse:
    """Show a job: its verdict, stages, timeline and events, and a task beside them."""
    # before the rest is read: the stream starts here and sends what happens meanwhile
    _, cursor = await read_now(context.machine)
    job = await read_job(context.machine, job_id)
    diagnosis = await read_diagnosis(context.machine, context.visitor, job.job_id)
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
    """Show a task: its attempts with worker, times and error, its input and its result."""
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
    """The lifecycle of a job with its state highlighted; empty if Graphviz is not available."""
    try:
        return await render_lifecycle(JOB, highlight=status, link=f"{context.root}/jobs?status={{}}")
    except DrawError:
        return ""


async def _task(context: RequestContext, job_id: str, number: int) -> TaskDetail:
    row = await read_task(context.machine, job_id, number)
    return serialize_task(row, await read_task_events(context.machine, row), context.visitor)


async def _list_events(
    context: RequestContext, job: JobPageRow, view: JobPageView
) -> tuple[list[EventResponse], str | None]:
    """A page of events that match the filters, or of the timeline; and the cursor of the next page."""
    if view.filtered:
        found, next_page = await read_events(context.machine, context.visitor, job.job_id, view)
        return [serialize_event(event, context.visitor) for event in found], next_page
    after = cast("int", decode_cursor(view.after, (int,))[0]) if view.after else 0
    async with context.machine.database.session(PATIENCE_SECONDS) as session:
        rows = await read_lines(
            session, job.job_id, job.stage_rows, _summarized_stages(job), after=after, limit=PAGE_SIZE + 1
        )
    events = [serialize_event(EventRow.of(row), context.visitor) for row in rows[:PAGE_SIZE]]
    return events, encode_cursor(events[-1].event_id) if len(rows) > PAGE_SIZE else None


def _summarized_stages(job: JobPageRow) -> list[int]:
    """The stages whose task events are counted, not listed: each task has two."""
    return [stage.stage for stage in job.stages if stage.tasks_total > SUMMARY_THRESHOLD]


def _stage_summaries(job: JobPageRow) -> dict[int, JobStageRow]:
    summarized = _summarized_stages(job)
    return {stage.stage: stage for stage in job.stages if stage.stage in summarized}


def _error_event_id(events: list[EventResponse], failure: EventResponse | None) -> int | None:
    """The event marked ERROR HERE: the first failure, or the next listed failure if the first is not listed."""
    if failure is None:
        return None
    return next(
        (event.event_id for event in events if event.status == "failure" and event.event_id >= failure.event_id), None
    )


@router.post("/jobs/{job_id}/resume")
async def resume_from_page(context: Context, job_id: JobRef) -> RedirectResponse:
    """Resume a job, then show its page."""
    await resume_job(context, job_id)
    return RedirectResponse(f"{context.root}/jobs/{job_id}", status_code=303)


@router.post("/jobs/{job_id}/cancel")
async def cancel_from_page(request: Request, context: Context, job_id: JobRef) -> RedirectResponse:
    """Cancel a job, then show its page."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    reason = form.get("reason", [""])[0].strip()[:MAX_REASON_LENGTH]
    await cancel_job(context, job_id, CancelRequest(reason=reason) if reason else None)
    return RedirectResponse(f"{context.root}/jobs/{job_id}", status_code=303)

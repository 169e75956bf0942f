"""The HTTP interface to what happened: events, live or page by page, the timeline, and why a job is where it is."""

from datetime import UTC
from typing import Annotated, Any, Literal, TypedDict, cast

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from ..access.middleware import EVENT_STREAM
from ..access.policy import Visitor
from ..access.redaction import redact_data
from ..problems import ERROR_RESPONSES
from .dependencies import Context, JobRef
from .filters import EventFilter
from .queries import read_events, read_why
from .response_models import EventPage
from .response_models_status import DiagnosisResponse, TimelineResponse
from .serializers import serialize_event
from .streams import changes_stream, job_stream, parse_event_cursor, wants_event_stream

router = APIRouter(prefix="/api", tags=["events"], responses=ERROR_RESPONSES)
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": "id: 790-17\nevent: told\ndata: {…}\n\n"}}
    }
}


class TimelineEventJson(TypedDict):
    """An event of a timeline, as JSON values."""

    event_id: int
    type: str
    status: str
    at: str
    stage: int | None
    task_number: int | None
    data: dict[str, object]


class TimelineJson(TypedDict):
    """A timeline, as JSON values."""

    job_id: str
    job_type: str
    events: list[TimelineEventJson]
    summaries: list[dict[str, object]]
    last_successful: TimelineEventJson | None
    first_failure: TimelineEventJson | None


@router.get("/jobs/{job_id}/events", responses=STREAM_RESPONSES, response_model=EventPage)
async def list_events(
    request: Request,
    context: Context,
    job_id: JobRef,
    filters: Annotated[EventFilter, Query()],
    last_event_id: Annotated[str | None, Header(description="of a stream: go on after the event with this id")] = None,
) -> Response | EventPage:
    """The events of a job that match, oldest first.

    Asked for with `Accept: text/event-stream` it is a stream of all of them, each once, live, and after `Last-Event-ID`
    or `after` where that is sent; the filters are then not looked at. Its ids are not those of the events: they also
    say in which transaction an event was written, so that none is missed.
    """
    full = await context.machine.full_id(job_id)
    if wants_event_stream(request):
        return job_stream(
            request, context.machine, context.visitor, full, parse_event_cursor(last_event_id or filters.after)
        )
    rows, next_cursor = await read_events(context.machine, context.visitor, full, filters)
    return EventPage(events=[serialize_event(row, context.visitor) for row in rows], next=next_cursor)


@router.get("/changes", responses=STREAM_RESPONSES, response_class=StreamingResponse)
async def changes(request: Request, context: Context) -> StreamingResponse:
    """A stream with a message `changed` whenever anything has happened to any job. It tells nothing else."""
    return changes_stream(request, context.machine)


@router.get("/jobs/{job_id}/why")
async def show_why(context: Context, job_id: JobRef) -> DiagnosisResponse:
    """Why a job is where it is: what it waits for, who holds it, until when, and what can be done."""
    return await read_why(context.machine, context.visitor, job_id)


@router.get(
    "/jobs/{job_id}/timeline",
    response_model=TimelineResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_timeline(
    context: Context,
    job_id: JobRef,
    form: Annotated[Literal["json", "text"], Query(alias="format", description="`text`: as in a terminal")] = "json",
    level: Annotated[Literal["all", "headlines"], Query(description="`all`: every event")] = "headlines",
) -> Response:
    """The execution timeline, times in UTC. A stage of more than 200 lines is summed up."""
    if form == "text":
        return PlainTextResponse(await context.machine.timeline(job_id, everything=level == "all", tz=UTC) + "\n")
    timeline = await context.machine.timeline_data(job_id, everything=level == "all", tz=UTC)
    return JSONResponse(_redact_timeline(cast("TimelineJson", timeline), context.visitor))


def _redact_timeline(timeline: TimelineJson, visitor: Visitor) -> TimelineJson:
    """A timeline with as much of each event's data as this visitor may see."""

    def redact(event: TimelineEventJson) -> TimelineEventJson:
        return {**event, "data": redact_data(event["data"], visitor)}

    success, failure = timeline["last_successful"], timeline["first_failure"]
    return {
        **timeline,
        "events": [redact(event) for event in timeline["events"]],
        "last_successful": redact(success) if success else None,
        "first_failure": redact(failure) if failure else None,
    }

"""Routes about what happened: events, as pages or live, the timeline, and the diagnosis of a job."""

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
from .queries import read_diagnosis, read_events
from .response_models import EventPage
from .response_models_status import DiagnosisResponse, TimelineResponse
from .serializers import serialize_event
from .streams import changes_stream, job_stream, parse_event_cursor, wants_event_stream

router = APIRouter(prefix="/api", tags=["events"], responses=ERROR_RESPONSES)
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            EVENT_STREAM: {"schema": {"type": "string"}, "example": "id: 790-17\nevent: job_event\ndata: {…}\n\n"}
        }
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
    last_event_id: Annotated[
        str | None, Header(description="for a stream: continue after the event with this id")
    ] = None,
) -> Response | EventPage:
    """List the events of a job that match the filters, oldest first.

    With `Accept: text/event-stream` the response is a live stream of all events, each sent once. It starts after
    `Last-Event-ID` or `after` if one is given, and ignores the filters. The ids of a stream are not event ids: they
    include the transaction that wrote the event, so that no event is missed.
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
    """Stream a message `changed` whenever an event of any job has been written. It has no other content."""
    return changes_stream(request, context.machine)


@router.get("/jobs/{job_id}/why")
async def show_why(context: Context, job_id: JobRef) -> DiagnosisResponse:
    """Explain what a job is doing: what it waits for, which workers hold it, until when, and what you can do."""
    return await read_diagnosis(context.machine, context.visitor, job_id)


@router.get(
    "/jobs/{job_id}/timeline",
    response_model=TimelineResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_timeline(
    context: Context,
    job_id: JobRef,
    form: Annotated[
        Literal["json", "text"], Query(alias="format", description="`text`: as the terminal prints it")
    ] = "json",
    level: Annotated[Literal["all", "headlines"], Query(description="`all`: all events")] = "headlines",
) -> Response:
    """Return the execution timeline, with times in UTC. Stages of more than 200 lines are summarized."""
    if form == "text":
        return PlainTextResponse(await context.machine.timeline(job_id, everything=level == "all", tz=UTC) + "\n")
    timeline = await context.machine.timeline_data(job_id, everything=level == "all", tz=UTC)
    return JSONResponse(_redact_timeline(cast("TimelineJson", timeline), context.visitor))


def _redact_timeline(timeline: TimelineJson, visitor: Visitor) -> TimelineJson:
    """The timeline with the event data that this visitor may see."""

    def redact(event: TimelineEventJson) -> TimelineEventJson:
        return {**event, "data": redact_data(event["data"], visitor)}

    success, failure = timeline["last_successful"], timeline["first_failure"]
    return {
        **timeline,
        "events": [redact(event) for event in timeline["events"]],
        "last_successful": redact(success) if success else None,
        "first_failure": redact(failure) if failure else None,
    }

"""The HTTP interface to what happened: events, live or page by page, the timeline, and why a job is where it is."""

from datetime import UTC
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from ..access.middleware import STREAM
from ..access.redaction import shown_data
from ..problems import RESPONSES
from .dependencies import Asking, JobRef
from .filters import EventFilter
from .queries import read_events, read_why
from .response_models import EventPage
from .response_models_status import TimelineBody, WhyBody
from .serializers import event_of
from .streams import changes_stream, job_stream, mark_of, wants_stream

router = APIRouter(prefix="/api", tags=["events"], responses=RESPONSES)
LIVE: dict[int | str, dict[str, Any]] = {
    200: {"content": {STREAM: {"schema": {"type": "string"}, "example": "id: 790-17\nevent: told\ndata: {…}\n\n"}}}
}


@router.get("/jobs/{job_id}/events", responses=LIVE, response_model=EventPage)
async def list_events(
    request: Request,
    ask: Asking,
    job_id: JobRef,
    wanted: Annotated[EventFilter, Query()],
    last_event_id: Annotated[str | None, Header(description="of a stream: go on after the event with this id")] = None,
) -> Response | EventPage:
    """The events of a job that match, oldest first.

    Asked for with `Accept: text/event-stream` it is a stream of all of them, each once, live, and after `Last-Event-ID`
    or `after` where that is sent; the filters are then not looked at. Its ids are not those of the events: they also
    say in which transaction an event was written, so that none is missed.
    """
    full = await ask.machine.full_id(job_id)
    if wants_stream(request):
        return job_stream(request, ask.machine, ask.visitor, full, mark_of(last_event_id or wanted.after))
    rows, following = await read_events(ask.machine, ask.visitor, full, wanted)
    return EventPage(events=[event_of(row, ask.visitor) for row in rows], next=following)


@router.get("/changes", responses=LIVE, response_class=StreamingResponse)
async def changes(request: Request, ask: Asking) -> StreamingResponse:
    """A stream with a message `changed` whenever anything has happened to any job. It tells nothing else."""
    return changes_stream(request, ask.machine)


@router.get("/jobs/{job_id}/why")
async def show_why(ask: Asking, job_id: JobRef) -> WhyBody:
    """Why a job is where it is: what it waits for, who holds it, until when, and what can be done."""
    return await read_why(ask.machine, ask.visitor, job_id)


@router.get(
    "/jobs/{job_id}/timeline",
    response_model=TimelineBody,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_timeline(
    ask: Asking,
    job_id: JobRef,
    form: Annotated[Literal["json", "text"], Query(alias="format", description="`text`: as in a terminal")] = "json",
    level: Annotated[Literal["all", "headlines"], Query(description="`all`: every event")] = "headlines",
) -> Response:
    """The execution timeline, times in UTC. A stage of more than 200 lines is summed up."""
    if form == "text":
        return PlainTextResponse(await ask.machine.timeline(job_id, everything=level == "all", tz=UTC) + "\n")
    told = await ask.machine.timeline_data(job_id, everything=level == "all", tz=UTC)
    return JSONResponse(_shown(told, ask))


def _shown(told: dict[str, Any], ask: Asking) -> dict[str, Any]:
    """A timeline with as much of each event's data as this visitor may see."""

    def shown(event: dict[str, Any] | None) -> dict[str, Any] | None:
        return event and {**event, "data": shown_data(event["data"], ask.visitor)}

    events = [shown(event) for event in told["events"]]
    ends = {name: shown(told[name]) for name in ("last_successful", "first_failure")}
    return {**told, "events": events, **ends}

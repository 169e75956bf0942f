"""Server-sent events: the events of one job, and a signal that any job has changed.

The database is polled; LISTEN does not work through every connection pooler, and may miss events.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import Request
from starlette.responses import StreamingResponse

from ...app import AsyncCoreMachine
from ...app.history import EventCursor, read_events_after
from ..access.middleware import EVENT_STREAM
from ..access.policy import Visitor
from ..problems import InvalidRequestError
from .queries import read_last_event_id
from .rows import StreamedEventRow
from .serializers import serialize_event

POLL_SECONDS = 0.4
HEARTBEAT_SECONDS = 5.0
CURSOR_PATTERN = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")


def wants_event_stream(request: Request) -> bool:
    """Whether the request asks for a live stream."""
    return EVENT_STREAM in request.headers.get("accept", "")


def parse_event_cursor(text: str | None) -> EventCursor:
    """The cursor in a `Last-Event-ID`. Raises InvalidRequestError."""
    if not text:
        return EventCursor()
    found = CURSOR_PATTERN.fullmatch(text)
    if found is None:
        raise InvalidRequestError(
            "Last-Event-ID",
            f"{text[:40]!r} is not an id of this stream",
            "send the id of a message of this stream, or none",
        )
    return EventCursor(int(found[1]), int(found[2]))


def job_stream(
    request: Request, machine: AsyncCoreMachine, visitor: Visitor, job_id: str, after: EventCursor
) -> StreamingResponse:
    """Stream the events of a job after `after`, each once, in an order that no later commit changes."""

    async def messages() -> AsyncIterator[str]:
        cursor = after
        while True:
            async with machine.database.session() as session:
                rows, cursor = await read_events_after(session, job_id, cursor)
            yield "".join(_sse_message(StreamedEventRow.of(row), visitor) for row in rows)

    return _stream_response(request, messages())


def changes_stream(request: Request, machine: AsyncCoreMachine) -> StreamingResponse:
    """Stream a message whenever an event of any job has been written."""

    async def messages() -> AsyncIterator[str]:
        known = await read_last_event_id(machine)
        while True:
            last = await read_last_event_id(machine)
            yield f"event: changed\ndata: {last}\n\n" if last != known else ""
            known = last

    return _stream_response(request, messages())


def _sse_message(row: StreamedEventRow, visitor: Visitor) -> str:
    event = serialize_event(row, visitor)
    # one data line is enough: JSON without indentation has no line breaks
    return f"id: {row.transaction_id}-{row.event_id}\nevent: job_event\ndata: {event.model_dump_json()}\n\n"


def _stream_response(request: Request, messages: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_with_heartbeats(request, messages), media_type=EVENT_STREAM, headers=headers)


async def _with_heartbeats(request: Request, messages: AsyncIterator[str]) -> AsyncIterator[str]:
    """Add heartbeats while there are no messages, so that the client notices a lost connection."""
    closing: asyncio.Event = request.app.state.closing
    yield "retry: 1000\nevent: heartbeat\ndata:\n\n"
    idle = 0.0
    async for text in messages:
        idle = 0.0 if text else idle + POLL_SECONDS
        if text:
            yield text
            await asyncio.sleep(0)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), POLL_SECONDS)
        if closing.is_set():
            return
        if idle >= HEARTBEAT_SECONDS:
            idle = 0.0
            yield "event: heartbeat\ndata:\n\n"

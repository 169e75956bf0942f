"""Server-sent events: what happens to one job, and that anything has happened at all.

The database is asked again and again, not listened to: that works through every pooler, and misses nothing.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import Request
from starlette.responses import StreamingResponse

from ...app import AsyncCoreMachine
from ...app.history import EventCursor, read_events_after
from ...store.session import Row
from ..access.middleware import STREAM
from ..access.policy import Visitor
from ..problems import AskedWronglyError
from .queries import read_last_event_id
from .serializers import event_of

LOOK = 0.4
BEAT = 5.0
MARK = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")
LATEST = "latest"


def wants_stream(request: Request) -> bool:
    """Whether events are asked for as they come."""
    return STREAM in request.headers.get("accept", "")


def mark_of(text: str | None) -> EventCursor:
    """The mark that a `Last-Event-ID` stands for. Raises AskedWronglyError."""
    if not text:
        return EventCursor()
    found = MARK.fullmatch(text)
    if found is None:
        raise AskedWronglyError(
            "Last-Event-ID", f"{text[:40]!r} is no id of this stream", "send the id of an event of it, or none"
        )
    return EventCursor(int(found[1]), int(found[2]))


def job_stream(
    request: Request, machine: AsyncCoreMachine, visitor: Visitor, job_id: str, mark: EventCursor
) -> StreamingResponse:
    """Every event of a job after `mark`, each once, in an order that no later commit can change."""

    async def told() -> AsyncIterator[str]:
        place = mark
        while True:
            async with machine.database.session() as session:
                rows, place = await read_events_after(session, job_id, place)
            yield "".join(_message(row, visitor) for row in rows)

    return _stream(request, told())


def changes_stream(request: Request, machine: AsyncCoreMachine) -> StreamingResponse:
    """A message whenever any event of any job has been written."""

    async def told() -> AsyncIterator[str]:
        known = await read_last_event_id(machine)
        while True:
            last = await read_last_event_id(machine)
            yield f"event: changed\ndata: {last}\n\n" if last != known else ""
            known = last

    return _stream(request, told())


def _message(row: Row, visitor: Visitor) -> str:
    event = event_of(row, visitor)
    # JSON has no line breaks of its own, so one line of data holds it
    return f"id: {row['transaction_id']}-{row['event_id']}\nevent: told\ndata: {event.model_dump_json()}\n\n"


def _stream(request: Request, told: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_paced(request, told), media_type=STREAM, headers=headers)


async def _paced(request: Request, told: AsyncIterator[str]) -> AsyncIterator[str]:
    """What is told, with a beat where there is nothing to tell: so a stream that was lost is noticed."""
    closing: asyncio.Event = request.app.state.closing
    yield "retry: 1000\nevent: beat\ndata:\n\n"
    silent = 0.0
    async for text in told:
        silent = 0.0 if text else silent + LOOK
        if text:
            yield text
            await asyncio.sleep(0)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), LOOK)
        if closing.is_set():
            return
        if silent >= BEAT:
            silent = 0.0
            yield "event: beat\ndata:\n\n"

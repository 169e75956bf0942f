"""Waiting for what must happen: looked for again and again until it is there, or its time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.store.session import Row

T = TypeVar("T")
SOON = 20.0
BETWEEN = 0.02


async def until(found: Callable[[], Awaitable[T]], what: str, within: float = SOON) -> T:
    """The first value of `found()` that is true. Raises AssertionError, with `what`, after `within` seconds."""
    loop, never = asyncio.get_running_loop(), asyncio.Event()
    deadline = loop.time() + within
    while not (value := await found()):
        if loop.time() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        with suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), BETWEEN)
    return value


async def until_row(app: AsyncCoreMachine, statement: str, *given: object, within: float = SOON) -> Row:
    """The first row that the query returns, as soon as it returns one. It is run as the schema's owner."""
    async with await app.database.connection("observer") as connection:

        async def found() -> list[Row]:
            return await (await connection.execute(statement.encode(), given or None)).fetchall()

        return (await until(found, f"a row of {statement} {given}", within))[0]


async def until_event(app: AsyncCoreMachine, job_id: str, event_type: str, *, number: int = 1) -> Row:
    """The job's event of that type, the first unless `number` says which, as soon as it is committed."""
    statement = "SELECT * FROM app.job_events WHERE job_id = %s AND event_type = %s ORDER BY event_id OFFSET %s"
    return await until_row(app, statement, job_id, event_type, number - 1)


async def until_status(app: AsyncCoreMachine, job_id: str, *statuses: str, within: float = SOON) -> Row:
    """The job's row, as soon as it has one of these states."""
    statement = "SELECT * FROM app.jobs WHERE job_id = %s AND status = ANY(%s)"
    return await until_row(app, statement, job_id, list(statuses), within=within)

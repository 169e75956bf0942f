"""Cancelling tasks of the loop until they have really ended."""

import asyncio
from collections.abc import Collection
from typing import Any

ASK_AGAIN = 1.0


async def cancel_all(tasks: Collection[asyncio.Task[Any] | asyncio.Future[Any]]) -> None:
    """Cancel `tasks` and return once each has ended, however it did.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that comes in the moment in which what it waits for is
    done (CPython issue 86296), and psycopg waits with it. A task that goes on is therefore asked again, after a second:
    sooner would disturb psycopg, which takes back the statement under way before it ends.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)

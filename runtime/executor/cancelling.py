"""Cancels asyncio tasks until they have really ended."""

import asyncio
from collections.abc import Collection
from typing import Any

ASK_AGAIN = 1.0


async def cancel_all(tasks: Collection[asyncio.Task[Any] | asyncio.Future[Any]]) -> None:
    """Cancel `tasks` and return once each has ended in any way.

    `asyncio.wait_for` of Python 3.11 swallows a cancellation that arrives at the moment at which its awaitable
    completes (CPython issue 86296), and psycopg uses it. A task that continues is therefore cancelled again after a
    second: sooner would disturb psycopg, which cancels the running statement before it ends.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)

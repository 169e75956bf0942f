"""Waiting between two polls of a job."""

import asyncio


async def cancellable_sleep(seconds: float) -> None:
    """Sleep, then raise CancelledError if this task has been cancelled, even if an earlier wait swallowed that.

    `asyncio.wait_for` of Python 3.11, which psycopg uses, may swallow a cancellation, and so Ctrl-C.
    """
    await asyncio.sleep(seconds)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError

"""Waiting between two looks at a job."""

import asyncio


async def pause(seconds: float) -> None:
    """Sleep for so long. Raises CancelledError where this task was cancelled, however long ago.

    `asyncio.wait_for` of Python 3.11, which psycopg waits with, may swallow a cancellation, and so Ctrl-C.
    """
    await asyncio.sleep(seconds)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError

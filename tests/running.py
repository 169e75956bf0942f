"""Running jobs in a test: to their end, or while the test looks on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from coremachine import Job
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.store.session import Row
from coremachine.runtime.worker.worker import Worker
from tests.renewers import renewer_is_up
from tests.waiting import until_status

LONGEST = 60.0


async def finished(app: AsyncCoreMachine, job: Job, **parameters: Any) -> Row:
    """Submit `job`, work until nothing is left to do, and return its row with its stages."""
    submitted = await app.submit(job, **parameters)
    await work(app)
    return await app.job(submitted.id)


async def finished_with_short_leases(app: AsyncCoreMachine, job: Job, **parameters: Any) -> Row:
    """The same where leases are shorter than a lease renewer may take to start: the job comes after it."""
    async with working(app):
        await renewer_is_up(app)
        submitted = await app.submit(job, **parameters)
        await until_status(app, submitted.id, "completed", "failed", "cancelled")
    return await app.job(submitted.id)


async def work(app: AsyncCoreMachine) -> None:
    """Work until nothing is left to do. Raises TimeoutError where that never comes."""
    async with asyncio.timeout(LONGEST):
        await app.work(until_idle=True)


@asynccontextmanager
async def working(app: AsyncCoreMachine) -> AsyncGenerator[Worker]:
    """A worker that runs as long as the block, and then stops gracefully."""
    worker = app.worker()
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(LONGEST):
            await running

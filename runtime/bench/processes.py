"""The processes of a run: workers, or programs of the upper bound. They end with the benchmark, however it ends."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ..app import AsyncCoreMachine
from ..settings import Settings
from ..worker.garbage_collector import ease_collector
from ..worker.parent_watch import ParentWatch
from .jobs import JOBS

Process = asyncio.subprocess.Process
READY_SECONDS = 30.0
POLL_SECONDS = 0.05


async def start(module: str, url: str, settings: Settings, *arguments: str) -> Process:
    """Start `python -m module`. The URL is passed in its environment, as it may contain a password."""
    given = {name: str(value) for name, value in settings.model_dump(exclude={"url"}).items() if value is not None}
    environment = {f"COREMACHINE_{name.upper()}": value for name, value in given.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env={**os.environ, **environment, "COREMACHINE_URL": url},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


@asynccontextmanager
async def workers(app: AsyncCoreMachine, number: int) -> AsyncGenerator[list[int]]:
    """`number` worker processes that are ready for work. Yields their process ids."""
    started = [
        await start("coremachine.runtime.bench.processes", app.database.url, app.settings) for _ in range(number)
    ]
    try:
        async with asyncio.timeout(READY_SECONDS):
            await _wait_until_ready(app, number)
        yield [process.pid for process in started]
    finally:
        for process in started:
            if process.stdin is not None:
                process.stdin.close()
        await asyncio.gather(*(process.wait() for process in started))


async def _wait_until_ready(app: AsyncCoreMachine, number: int) -> None:
    while True:
        async with app.database.session() as session:
            (row,) = await session.fetch("bench/ready_workers")
        if row["ready"] >= number:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _work() -> None:
    """Work until standard input ends: the benchmark has ended, or closes it to stop this worker."""
    async with AsyncCoreMachine(jobs=JOBS, settings=Settings()) as app:
        worker = app.worker()
        ease_collector(app.bus)
        with ParentWatch(enabled=True).active(worker.stop):
            await worker.run()


if __name__ == "__main__":
    asyncio.run(_work())

"""The processes of a run: workers, or programs of the ceiling. They end with the benchmark, however that ends."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ..app import AsyncCoreMachine
from ..settings import Settings
from ..worker.garbage_collector import ease_collector
from .jobs import JOBS

Process = asyncio.subprocess.Process
PATIENCE = 30.0
LOOK = 0.05


async def start(module: str, url: str, settings: Settings, *arguments: str) -> Process:
    """Start `python -m module`. The URL travels in its environment, for it may hold a password."""
    said = {name: str(value) for name, value in settings.model_dump(exclude={"url"}).items() if value is not None}
    environment = {f"COREMACHINE_{name.upper()}": value for name, value in said.items()}
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
    """`number` worker processes that have begun to look for work. Yields their process ids."""
    started = [
        await start("coremachine.runtime.bench.processes", app.database.url, app.settings) for _ in range(number)
    ]
    try:
        async with asyncio.timeout(PATIENCE):
            await _all_ready(app, number)
        yield [process.pid for process in started]
    finally:
        for process in started:
            if process.stdin is not None:
                process.stdin.close()
        await asyncio.gather(*(process.wait() for process in started))


async def _all_ready(app: AsyncCoreMachine, number: int) -> None:
    while True:
        async with app.database.session() as session:
            (row,) = await session.fetch("bench/ready_workers")
        if row["ready"] >= number:
            return
        await asyncio.sleep(LOOK)


async def _work_until_let_go() -> None:
    """Be a worker until standard input ends: whoever started this one has ended, or wants it to."""
    async with AsyncCoreMachine(jobs=JOBS, settings=Settings()) as app:
        worker = app.worker()
        ease_collector(app.bus)
        end = sys.stdin.fileno()
        loop = asyncio.get_running_loop()

        def let_go() -> None:
            loop.remove_reader(end)
            worker.stop()

        loop.add_reader(end, let_go)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(_work_until_let_go())

"""Workers as processes, forked from a server that has imported everything, so that a start takes milliseconds."""

import asyncio
import logging
import multiprocessing
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from coremachine import AsyncCoreMachine
from coremachine.runtime.logs import configure
from coremachine.runtime.settings import Settings
from coremachine.runtime.store import connection
from coremachine.runtime.store.server_settings import NETWORK_LIMITS
from tests.crash.crashing_job import CRASHING

TIMEOUT_SECONDS = 90.0
ANSWER_SECONDS = 3.0
"""How long a worker waits for the database here: the five minutes of a real one are longer than a trial."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__, "coremachine.runtime.bus.servicebus", "tests.preloaded"])


class Worker:
    """A worker that begins on request, and ends when nothing is left to do. It logs to a file."""

    def __init__(self, url: str, settings: Settings, log: Path) -> None:
        self._pipe, self._theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_run, args=(url, settings, str(log), self._theirs))

    async def ready(self) -> None:
        """Start it, and wait until it has opened the database. Raises AssertionError if it has not."""
        self._process.start()
        self._theirs.close()
        await _readable(self._pipe.fileno(), "the worker was not ready")
        try:
            self._pipe.recv()
        except EOFError:
            raise AssertionError("the worker could not begin") from None

    async def ended(self) -> int:
        """Let it begin, wait for its end, and return its exit code. Raises TimeoutError."""
        self._pipe.send("begin")
        await _readable(self._process.sentinel, "the job was not over")
        self._process.join()
        return self._process.exitcode or 0

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    def clean_up(self) -> None:
        """End the process and close the pipe."""
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._process.close()
        self._pipe.close()


async def _readable(file: int, otherwise: str) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file, readable.set)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await readable.wait()
    except TimeoutError:
        raise TimeoutError(f"{otherwise} within {TIMEOUT_SECONDS:g} s") from None
    finally:
        loop.remove_reader(file)


@asynccontextmanager
async def worker(url: str, settings: Settings, log: Path) -> AsyncGenerator[Worker]:
    """A worker that is ready but has not begun. It is killed if it is still running at the end of the block."""
    one = Worker(url, settings, log)
    try:
        await one.ready()
        yield one
    finally:
        one.clean_up()


def _run(url: str, settings: Settings, log: str, pipe: Connection) -> None:
    """The program of the process."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.stderr.fileno())
    configure("WARNING")
    logging.getLogger("azure").setLevel(logging.CRITICAL + 1)  # it logs lost connections at length; ours is one line
    connection.__dict__["ANSWER_SECONDS"] = ANSWER_SECONDS
    NETWORK_LIMITS["connect_timeout"] = int(ANSWER_SECONDS)
    asyncio.run(_work(url, settings, pipe))


async def _work(url: str, settings: Settings, pipe: Connection) -> None:
    async with AsyncCoreMachine(url, jobs=[CRASHING], settings=settings) as app:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        await app.work(until_idle=True)

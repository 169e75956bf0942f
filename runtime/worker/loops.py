"""The loops of a worker: one that fails unexpectedly is logged, restarted, and reported with the heartbeat."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ...statemachine.retry import Backoff
from ..logs import logger
from ..store.failures import Failures
from ..store.turns import Turns

log = logger("loops")
BACKOFF: Final = Backoff(first=0.2, most=10)


class Loops:
    """Keeps loops running. A loop handles expected errors, for example an outage, itself; this handles the others."""

    def __init__(self, failures: Failures, turns: Turns) -> None:
        self._failures = failures
        self._turns = turns

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        """Run a loop until it returns or is cancelled."""
        return asyncio.create_task(self._keep_running(name, run), name=name)

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._turns.belong_to(name)
        while True:
            try:
                return await run()
            except Exception as error:
                times = self._failures.add(name, error)
                # in full the first time, then less and less often: a loop that keeps failing must not fill a disk
                if times.bit_count() == 1:
                    log.exception("a loop of the worker failed; it restarts", loop=name, times=times)
                await asyncio.sleep(BACKOFF.delay(times))

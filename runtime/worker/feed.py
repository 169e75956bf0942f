"""A feed: claims work of one kind as long as there are free places, and starts it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.retry import Backoff
from ..errors import BrokerError
from ..logs import logger
from .cancelling import cancel_all

T = TypeVar("T")
log = logger("feed")


class Feed(Generic[T]):
    """Claims up to `places` pieces of work and runs each as a task of the loop.

    When nothing can be claimed it sleeps until it is woken, a place becomes free, or `poll` seconds have passed; a
    claim that `waits` by itself is asked again at once.
    """

    def __init__(  # noqa: PLR0913 - the last is an option
        self,
        name: str,
        places: int,
        poll: float,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        handle: Callable[[T], Awaitable[None]],
        *,
        waits: bool = False,
    ) -> None:
        self.name = name
        self._places = places
        self._poll = poll
        self._claim = claim
        self._handle = handle
        self._waits = waits
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._backoff = Backoff(first=0.2, most=10)
        self._closed = False
        self.idle = asyncio.Event()

    @property
    def running(self) -> int:
        """Pieces of work under way."""
        return len(self._running)

    def wake(self) -> None:
        """There may be something to claim."""
        self._woken.set()

    async def run(self) -> None:
        """Claim and start until closed. What is under way goes on."""
        failures = 0
        while not self._closed:
            self._woken.clear()
            free = self._places - len(self._running)
            try:
                claimed: Sequence[T] = await self._claim(free) if free > 0 else ()
                failures = 0
            except (psycopg.Error, PoolTimeout, BrokerError) as error:
                failures += 1
                if failures == 1:
                    log.warning("nothing can be claimed; trying again", feed=self.name, error=str(error).strip())
                await asyncio.sleep(self._backoff.delay(failures))
                continue
            for work in claimed:
                self._start(work)
            if not claimed and not self._running:
                self.idle.set()
            if free <= 0 or (len(claimed) < free and not self._waits):
                await self._sleep()

    def close(self) -> None:
        """Claim nothing more. A claim under way comes to its end, so that what it won is not lost."""
        self._closed = True
        self._woken.set()

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then cancel it and wait for that."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=grace)
            await cancel_all(late)

    def _start(self, work: T) -> None:
        self.idle.clear()
        task = asyncio.ensure_future(self._handle(work))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work ended with an error of the worker's own", feed=self.name, error=repr(error), exc_info=error)

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._woken.wait()
        except TimeoutError:
            return

"""A feed: claims work of one kind as long as its crew has room, and has the crew run it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import psycopg

from ...statemachine.retry import Backoff
from ..errors import BrokerError
from ..executor.cancelling import cancel_all
from ..logs import logger
from ..store.outage import OutageParticipant

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
log = logger("feed")


class Executor(Protocol[T_contra]):
    """Those who do the work that a feed claims. They call `on_capacity` when they have room again."""

    on_capacity: Callable[[], None]

    @property
    def free_slots(self) -> int:
        """How many pieces of work could begin at once."""
        ...

    def demand(self) -> int:
        """How many pieces of work may be claimed now: those that could begin, and a store of brief ones."""
        ...

    def start(self, works: Sequence[T_contra]) -> None:
        """Do what was claimed."""

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then end it."""


class ConcurrentExecutor(Generic[T]):
    """A crew that handles up to `slots` pieces of work at once, each as a task of the loop."""

    def __init__(self, name: str, slots: int, handle: Callable[[T], Awaitable[None]]) -> None:
        self.on_capacity: Callable[[], None] = lambda: None
        self._name = name
        self._slots = slots
        self._handle = handle
        self._running: set[asyncio.Task[None]] = set()

    @property
    def free_slots(self) -> int:
        """The slots that are free."""
        return self._slots - len(self._running)

    def demand(self) -> int:
        """The same: nothing is claimed ahead."""
        return self.free_slots

    def start(self, works: Sequence[T]) -> None:
        """Handle each."""
        for work in works:
            task = asyncio.ensure_future(self._handle(work))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then cancel it and wait for that."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=grace)
            await cancel_all(late)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "work ended with an error of the worker's own", feed=self._name, error=repr(error), exc_info=error
            )
        self.on_capacity()


class Producer(Generic[T]):
    """Claims as much as its crew has room for, and has it done.

    When nothing can be claimed it sleeps until it is woken or `poll` seconds have passed, or until the crew has room
    again, unless there was nothing more to claim. A claim that `waits` by itself is asked again at once.
    """

    def __init__(  # noqa: PLR0913 - the last is an option
        self,
        name: str,
        crew: Executor[T],
        poll: float,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        participant: OutageParticipant,
        *,
        waits: bool = False,
    ) -> None:
        self.name = name
        self._crew = crew
        self._poll = poll
        self._claim = claim
        crew.on_capacity = self._on_capacity
        self._woken = asyncio.Event()
        self._more = True
        self._participant = participant
        self._waits = waits
        self._broker_backoff = Backoff(first=0.2, most=10)
        self._closed = False

    def wake(self) -> None:
        """There may be something to claim."""
        self._woken.set()

    async def run(self) -> None:
        """Claim and start until closed. What is under way goes on."""
        failures = 0
        while not self._closed:
            self._woken.clear()
            self._more = True
            free = self._crew.demand()
            try:
                claimed: Sequence[T] = await self._claim(free) if free > 0 else ()
                failures = 0
            except psycopg.Error as error:
                await self._participant.wait(error)
                continue
            except BrokerError as error:
                failures += 1
                if failures == 1:
                    said = log.error if error.lasting else log.warning
                    said("nothing can be received; trying again", feed=self.name, error=str(error))
                await asyncio.sleep(self._broker_backoff.delay(failures))
                continue
            self._participant.succeeded()
            if claimed:
                self._crew.start(claimed)
            # where a piece of work could still begin, the claim has left none
            self._more = free <= 0 or self._crew.free_slots <= 0
            if free <= 0 or (len(claimed) < free and not self._waits):
                await self._sleep()

    def close(self) -> None:
        """Claim nothing more. A claim under way comes to its end, so that what it won is not lost."""
        self._closed = True
        self._woken.set()

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then end it."""
        await self._crew.drain(grace)

    def _on_capacity(self) -> None:
        if self._more:
            self.wake()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._woken.wait()
        except TimeoutError:
            return

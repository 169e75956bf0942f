"""A producer: claims work from one source while its executor has capacity, and starts it there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import psycopg

from ...statemachine.retry import Backoff
from ..bus.interruption import Interruption
from ..errors import BrokerError
from ..executor.cancelling import cancel_all
from ..logs import logger
from ..store.outage import OutageParticipant

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
log = logger("producer")
BROKER_BACKOFF: Final = Backoff(first=0.2, most=10)


class Executor(Protocol[T_contra]):
    """Runs the work that producers claim."""

    @property
    def free_slots(self) -> int:
        """How many work items could begin at once."""
        ...

    def demand(self) -> int:
        """How many work items may be claimed now: those that could begin, and brief ones to wait here."""
        ...

    def on_capacity(self, notify: Callable[[], None]) -> None:
        """Call `notify`, in addition to earlier listeners, each time there is capacity again."""

    def start(self, works: Sequence[T_contra]) -> None:
        """Run claimed work."""

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for running work, then end it."""


class Source(Protocol[T_co]):
    """A source of work. One with `waits` returns nothing only after it has waited for work to arrive."""

    name: str
    waits: bool

    async def claim(self, limit: int, /) -> Sequence[T_co]:
        """Claim up to `limit` work items."""
        ...


class ConcurrentExecutor(Generic[T]):
    """Handles up to `slots` work items at once, each as an asyncio task."""

    def __init__(self, name: str, slots: int, handle: Callable[[T], Awaitable[None]]) -> None:
        self._name = name
        self._slots = slots
        self._handle = handle
        self._running: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[], None]] = []

    @property
    def free_slots(self) -> int:
        """The number of free slots."""
        return self._slots - len(self._running)

    def demand(self) -> int:
        """The same: nothing is claimed ahead."""
        return self.free_slots

    def on_capacity(self, notify: Callable[[], None]) -> None:
        """Call `notify` each time a work item has ended."""
        self._listeners.append(notify)

    def start(self, works: Sequence[T]) -> None:
        """Handle each."""
        for work in works:
            task = asyncio.ensure_future(self._handle(work))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for running work, then cancel it and wait until it has ended."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=grace)
            await cancel_all(late)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an unexpected error ended a work item", source=self._name, error=repr(error), exc_info=error)
        for notify in self._listeners:
            notify()


class Producer(Generic[T]):
    """Claims as much as its executor demands, and starts it there.

    When nothing can be claimed it sleeps until it is woken, `poll` seconds have passed, or, if there was more to claim,
    the executor has capacity again. A source with `waits` is called again at once.
    """

    def __init__(self, source: Source[T], executor: Executor[T], poll: float, participant: OutageParticipant) -> None:
        self.name = source.name
        self._source = source
        self._executor = executor
        self._poll = poll
        self._participant = participant
        self._woken = asyncio.Event()
        self._more = True
        self._broker = Interruption(
            log, "cannot receive messages; trying again", "messages can be received again", source=source.name
        )
        self._closed = False
        executor.on_capacity(self._capacity)

    def wake(self) -> None:
        """Wake it: there may be something to claim."""
        self._woken.set()

    async def run(self) -> None:
        """Claim and start until closed. Running work continues."""
        while not self._closed:
            self._woken.clear()
            self._more = True
            demand = self._executor.demand()
            try:
                claimed: Sequence[T] = await self._source.claim(demand) if demand > 0 else ()
            except psycopg.Error as error:
                await self._participant.wait(error)
                continue
            except BrokerError as error:
                await asyncio.sleep(BROKER_BACKOFF.delay(self._broker.failed(error)))
                continue
            self._participant.succeeded()
            if demand > 0:
                self._broker.succeeded()
            if claimed:
                self._executor.start(claimed)
            # if a work item could still begin, the claim has left none
            self._more = demand <= 0 or self._executor.free_slots <= 0
            if demand <= 0 or (len(claimed) < demand and not self._source.waits):
                await self._sleep()

    def close(self) -> None:
        """Claim nothing more. A claim in progress is completed, so that the rows it won are not lost."""
        self._closed = True
        self._woken.set()

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for running work, then end it."""
        await self._executor.drain(grace)

    def _capacity(self) -> None:
        if self._more:
            self.wake()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._woken.wait()
        except TimeoutError:
            return

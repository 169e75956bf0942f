"""A bus whose messages another program receives and settles, for example the host of Azure Functions."""

import asyncio
from collections.abc import Callable, Sequence

from ..store.session import Session
from .messages import Kind, ReceivedMessage, UnreadableMessageError, read_message_ref
from .port import Announcement, Bus, MessageSource, QueueRoute, Transport
from .settlement import Settlement

WAIT_SECONDS = 1.0
Waiting = tuple[ReceivedMessage, "asyncio.Future[Settlement]"]


class ExternallyPolledBus:
    """Sends as `bus` does; its messages arrive through `push`."""

    def __init__(self, bus: Bus) -> None:
        self.name = bus.name
        self.routes: Sequence[QueueRoute] = bus.routes
        self._bus = bus
        self._jobs = PushedMessageSource("pushed jobs", ("job", "callback"))
        self._tasks = PushedMessageSource("pushed tasks", ("task",))

    @property
    def transport(self) -> Transport | None:
        """The transport of `bus`."""
        return self._bus.transport

    async def announce(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """As `bus` does."""
        await self._bus.announce(session, announcements)

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """As `bus` does."""
        await self._bus.listen(wake)

    def message_sources(self) -> Sequence[MessageSource]:
        """One for jobs and callbacks, and one for tasks."""
        return (self._jobs, self._tasks)

    async def close(self) -> None:
        """The owner of `bus` closes it."""

    async def push(self, message: ReceivedMessage) -> Settlement:
        """The settlement of a message, once any claim that it led to is committed.

        Raises the error that prevented the claim.
        """
        return await (self._tasks if _is_of_task(message) else self._jobs).push(message)


class PushedMessageSource:
    """Messages that wait to be claimed, one at a time, each with the call that waits for its settlement."""

    def __init__(self, name: str, kinds: tuple[Kind, ...]) -> None:
        self.name = name
        self.kinds = kinds
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._asked: asyncio.Future[Settlement] | None = None

    async def push(self, message: ReceivedMessage) -> Settlement:
        """Pass a message on to be claimed, and return its settlement."""
        answer: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        await self._queue.put((message, answer))
        return await answer

    async def receive(self, most: int) -> Sequence[ReceivedMessage]:
        """The next message, if one arrives within a second."""
        if not most:
            return ()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                message, self._asked = await self._queue.get()
        except TimeoutError:
            return ()
        return (message,)

    def settle(self, settled: Sequence[tuple[ReceivedMessage, Settlement]]) -> None:
        """Return the settlement to the call that waits."""
        for _, settlement in settled:
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(settlement)

    def failed(self, error: BaseException) -> None:
        """Raise the error in the call that waits."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())

    async def close(self) -> None:
        """Does nothing: it holds no resources."""


def _is_of_task(message: ReceivedMessage) -> bool:
    try:
        return read_message_ref(message).kind == "task"
    except UnreadableMessageError:
        return False

"""A bus whose messages are brought by somebody else, such as the host of Azure Functions, who settles them too."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from ..store.session import Session
from .messages import Kind, ReceivedMessage, UnreadableMessageError, read_message_ref
from .port import Bus, Claims, Message, QueueRoute, Transport, Work, WorkSource
from .settlement import Settlement

WAIT = 1.0
Ended = Callable[[Work], "asyncio.Future[None]"]
Answer = tuple[Settlement, "asyncio.Future[None] | None"]
PollQueue = asyncio.Queue[tuple[ReceivedMessage, "asyncio.Future[Answer]"]]


class ExternallyPolledBus:
    """Sends as `bus` does; receives what is pushed. `ended` tells when claimed work has come to its end."""

    def __init__(self, bus: Bus) -> None:
        self.name = bus.name
        self.routes: Sequence[QueueRoute] = bus.routes
        self.ended: Ended | None = None
        self._bus = bus
        self._jobs: PollQueue = asyncio.Queue()
        self._tasks: PollQueue = asyncio.Queue()

    @property
    def transport(self) -> Transport | None:
        """That of the bus it stands for."""
        return self._bus.transport

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """As the bus does."""
        await self._bus.announce(session, messages)

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """As the bus does."""
        await self._bus.listen(wake)

    def intakes(self, claims: Claims) -> Sequence[WorkSource]:
        """One for jobs and callbacks, and one for tasks."""

        async def claim(queue: PollQueue, limit: int) -> Sequence[Work]:
            return await self._claim(claims, queue) if limit else ()

        return [
            WorkSource("pushed jobs", ("job", "callback"), partial(claim, self._jobs), _nothing_to_close, waits=True),
            WorkSource("pushed tasks", ("task",), partial(claim, self._tasks), _nothing_to_close, waits=True),
        ]

    async def close(self) -> None:
        """The bus is closed by whoever opened it."""

    async def push(self, envelope: ReceivedMessage) -> Answer:
        """The settlement on a message, once any claim is committed; and when the work it led to ends, if it won any."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        queue = self._tasks if _is_of_task(envelope) else self._jobs
        await queue.put((envelope, answer))
        return await answer

    async def _claim(self, claims: Claims, queue: PollQueue) -> Sequence[Work]:
        """One message at a time, so that it is known which work it led to."""
        try:
            async with asyncio.timeout(WAIT):
                envelope, answer = await queue.get()
        except TimeoutError:
            return ()
        try:
            won, (settlement,) = await claims.named([envelope])
        except BaseException as error:
            if not answer.done():
                answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            raise
        ended = self.ended(won[0]) if won and self.ended is not None else None
        if not answer.done():
            answer.set_result((settlement, ended))
        return won


def _is_of_task(envelope: ReceivedMessage) -> bool:
    try:
        return read_message_ref(envelope).kind == "task"
    except UnreadableMessageError:
        return False


async def _nothing_to_close() -> None:
    return

"""A bus whose messages are brought by somebody else, such as the host of Azure Functions, who settles them too."""

import asyncio
from collections.abc import Callable, Sequence

from ..store.session import Session
from .letter import Envelope, Kind
from .port import Bus, Claims, Intake, Lane, Message, Transport, Work
from .verdict import Verdict

WAIT = 1.0
Ended = Callable[[Work], "asyncio.Future[None]"]
Answer = tuple[Verdict, "asyncio.Future[None] | None"]


class PushedBus:
    """Sends as `bus` does; receives what is pushed. `ended` tells when claimed work has come to its end."""

    def __init__(self, bus: Bus) -> None:
        self.name = bus.name
        self.lanes: Sequence[Lane] = bus.lanes
        self.ended: Ended | None = None
        self._bus = bus
        self._waiting: asyncio.Queue[tuple[Envelope, asyncio.Future[Answer]]] = asyncio.Queue()

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

    def intakes(self, claims: Claims) -> Sequence[Intake]:
        """One, for everything that is pushed."""

        async def claim(limit: int) -> Sequence[Work]:
            return await self._claim(claims) if limit else ()

        return [Intake("pushed", ("job", "task", "callback"), claim, _nothing_to_close, waits=True)]

    async def close(self) -> None:
        """The bus is closed by whoever opened it."""

    async def push(self, envelope: Envelope) -> Answer:
        """The verdict on a message, once any claim is committed; and when the work it led to ends, if it won any."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        await self._waiting.put((envelope, answer))
        return await answer

    async def _claim(self, claims: Claims) -> Sequence[Work]:
        """One message at a time, so that it is known which work it led to."""
        try:
            async with asyncio.timeout(WAIT):
                envelope, answer = await self._waiting.get()
        except TimeoutError:
            return ()
        try:
            won, (verdict,) = await claims.named([envelope])
        except BaseException as error:
            if not answer.done():
                answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            raise
        ended = self.ended(won[0]) if won and self.ended is not None else None
        if not answer.done():
            answer.set_result((verdict, ended))
        return won


async def _nothing_to_close() -> None:
    return

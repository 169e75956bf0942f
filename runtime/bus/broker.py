"""The bus of a broker: a relay sends what is queued, and what comes is claimed by its key."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ...statemachine.job import Job
from ..logs import logger
from ..store.database import Database
from ..store.session import Session
from .channel import Channel
from .messages import Kind, ReceivedMessage
from .port import Claims, Message, QueueRoute, Receiver, Transport, Work, WorkSource

log = logger("bus")


class BrokerBus:
    """Messages over a broker, one queue a route. NOTIFY wakes the relays, which send once the rows are committed."""

    def __init__(
        self,
        name: str,
        database: Database,
        made: Callable[[], Transport],
        routes: Sequence[QueueRoute],
        wait: float = 1.0,
    ) -> None:
        self.name = name
        self.routes = routes
        self._made = made
        self._transport: Transport | None = None
        self._channel = Channel(database)
        self._wait = wait

    @property
    def transport(self) -> Transport:
        """The broker's ends, made when they are first wanted: who only submits needs none. Raises BrokerError."""
        if self._transport is None:
            self._transport = self._made()
        return self._transport

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """Wake the relays at commit: the rows are the outbox. `job_queued` is told when the message has been sent."""
        await self._channel.notify(session, (message.kind for message in messages))

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Wake the relays until cancelled."""
        await self._channel.listen(wake)

    def intakes(self, claims: Claims) -> Sequence[WorkSource]:
        """One for each queue, with a receiver of its own."""
        return [self._intake(route, claims) for route in self.routes]

    async def close(self) -> None:
        """Let go of the broker."""
        if self._transport is not None:
            await self._transport.close()

    def _intake(self, route: QueueRoute, claims: Claims) -> WorkSource:
        inbox = MessageSource(self.transport.receiver(route.queue), claims, self._wait)
        return WorkSource(route.queue, tuple(route.types), inbox.claim, inbox.close, waits=True)


class MessageSource:
    """Receives from one queue, claims in sets, and settles once the claims are committed.

    Settling goes on while the next work is started, and ends before the receiver is used again: it is not to be shared.
    """

    def __init__(self, receiver: Receiver, claims: Claims, wait: float) -> None:
        self._receiver = receiver
        self._claims = claims
        self._wait = wait
        self._undecided: list[ReceivedMessage] = []
        self._settling: asyncio.Task[int] | None = None

    async def claim(self, limit: int) -> Sequence[Work]:
        """What was won of up to `limit` messages. Raises BrokerError, and psycopg's errors: then they are kept."""
        await self._settled()
        # Kept while the database could not be asked: giving them back would only wear out their delivery count.
        waiting = [envelope for envelope in self._undecided if _still_locked(envelope)]
        if not waiting:
            waiting = list(await self._receiver.receive(limit, self._wait))
        self._undecided = waiting
        asked = waiting[:limit]
        if not asked:
            return ()
        won, settlements = await self._claims.named(asked)
        self._undecided = waiting[limit:]
        self._settling = asyncio.create_task(self._receiver.settle(list(zip(asked, settlements, strict=True))))
        return won

    async def close(self) -> None:
        """Settle what is decided, give back the rest."""
        await self._settled()
        await self._receiver.close()

    async def _settled(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None:
            unknown = await settling
            if unknown:
                log.info("messages may come again: their settlement was not answered", messages=unknown)


def routes_of(jobs: Iterable[Job], job_queue: str, task_queue: str, prefix: str = "") -> tuple[QueueRoute, ...]:
    """The queues that these jobs need: one for jobs and callbacks, and those that their tasks are routed to."""
    known = list(jobs)
    names = [job.name for job in known]
    routed: dict[str, dict[str, None]] = {}
    for job in known:
        for name, task in job.tasks.items():
            routed.setdefault(f"{prefix}{task.options.queue or task_queue}", {})[name] = None
    of_jobs: Mapping[Kind, Sequence[str]] = {"job": names, "callback": names}
    return (
        QueueRoute(f"{prefix}{job_queue}", of_jobs),
        *(QueueRoute(queue, {"task": tuple(types)}) for queue, types in sorted(routed.items())),
    )


def _still_locked(envelope: ReceivedMessage) -> bool:
    # The lock is the broker's and told by its clock; being wrong about it only makes a duplicate.
    return envelope.locked_until is None or envelope.locked_until > datetime.now(UTC)

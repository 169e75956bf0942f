"""The bus of a broker: a relay sends messages of queued rows, and a received message's row is claimed by its key."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ...statemachine.job import Job
from ..logs import logger
from ..store.session import Session
from .channel import Channel
from .messages import Kind, ReceivedMessage
from .port import Announcement, MessageSource, QueueRoute, Receiver, Transport
from .settlement import Settlement

log = logger("bus")


class BrokerBus:
    """Messages over a broker, one queue per route. NOTIFY wakes the relays, which send once the rows are committed."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        made: Callable[[], Transport],
        routes: Sequence[QueueRoute],
        wait: float = 1.0,
    ) -> None:
        self.name = name
        self.routes = routes
        self._made = made
        self._transport: Transport | None = None
        self._channel = channel
        self._wait = wait

    @property
    def transport(self) -> Transport:
        """The broker's ends, created at first use: a process that only submits needs none. Raises BrokerError."""
        if self._transport is None:
            self._transport = self._made()
        return self._transport

    async def announce(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Wake the relays at commit: the rows are the outbox. `job_queued` is written after the message was sent."""
        await self._channel.notify(session, (one.kind for one in announcements))

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Wake the relays until cancelled."""
        await self._channel.listen(wake)

    def message_sources(self) -> Sequence[MessageSource]:
        """One for each queue, each with a separate receiver. Raises BrokerError."""
        return [
            BrokerMessageSource(route.queue, tuple(route.types), self.transport.receiver(route.queue), self._wait)
            for route in self.routes
        ]

    async def close(self) -> None:
        """Close the connections to the broker."""
        if self._transport is not None:
            await self._transport.close()


class BrokerMessageSource:
    """Receives from one queue. Settling runs while the next work begins, and ends before the next message is received.

    Messages that could not be claimed are kept while their locks last: abandoning them would only increase
    their delivery count.
    """

    def __init__(self, queue: str, kinds: tuple[Kind, ...], receiver: Receiver, wait: float) -> None:
        self.name = queue
        self.kinds = kinds
        self._receiver = receiver
        self._wait = wait
        self._unsettled: list[ReceivedMessage] = []
        self._settling: asyncio.Task[int] | None = None

    async def receive(self, most: int) -> Sequence[ReceivedMessage]:
        """Up to `most` messages, kept ones first. Raises BrokerError."""
        await self._settled()
        self._unsettled = [message for message in self._unsettled if _still_locked(message)]
        if not self._unsettled:
            self._unsettled = list(await self._receiver.receive(most, self._wait))
        return self._unsettled[:most]

    def settle(self, settled: Sequence[tuple[ReceivedMessage, Settlement]]) -> None:
        """Settle the first of the received messages."""
        self._unsettled = self._unsettled[len(settled) :]
        self._settling = asyncio.create_task(self._receiver.settle(settled))

    def failed(self, error: BaseException) -> None:
        """Keep the received messages."""

    async def close(self) -> None:
        """Settle the messages that have a settlement, abandon the rest."""
        await self._settled()
        await self._receiver.close()

    async def _settled(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None:
            unknown = await settling
            if unknown:
                log.info("messages may be redelivered: their settlement was not confirmed", messages=unknown)


def routes_of(jobs: Iterable[Job], job_queue: str, task_queue: str, prefix: str = "") -> tuple[QueueRoute, ...]:
    """The queues that these jobs need: one for jobs and callbacks, and the queues of their tasks."""
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


def _still_locked(received: ReceivedMessage) -> bool:
    # The broker's clock times the lock, not the database's; an error only causes a duplicate.
    return received.locked_until is None or received.locked_until > datetime.now(UTC)

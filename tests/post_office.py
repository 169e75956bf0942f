"""A broker inside the test's own process, with faults to order: the bus may be faked, the store never.

Messages lie in queues, are locked when received, and come again when abandoned, or when the test lets their lock go.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from coremachine.runtime.bus.messages import OutgoingMessage, ReceivedMessage
from coremachine.runtime.bus.port import DeadLetteredMessage
from coremachine.runtime.bus.settlement import Abandon, DeadLetter, Settlement
from coremachine.runtime.errors import BrokerError

Fault = Callable[[Sequence[OutgoingMessage]], Awaitable[None]]


@dataclass
class PostOffice:
    """The broker: a transport.

    `sent` are all messages that arrived, `settled` all settlements, in their order. `connected` are the queues
    that have an open sender.
    """

    sent: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])
    settled: list[tuple[ReceivedMessage, Settlement]] = field(default_factory=list[tuple[ReceivedMessage, Settlement]])
    queues: defaultdict[str, deque[ReceivedMessage]] = field(default_factory=lambda: defaultdict(deque))
    dead: defaultdict[str, list[DeadLetteredMessage]] = field(default_factory=lambda: defaultdict(list))
    before: list[Fault] = field(default_factory=list[Fault])
    after: list[Fault] = field(default_factory=list[Fault])
    loses: Callable[[OutgoingMessage], bool] = lambda _: False
    connected: set[str] = field(default_factory=set[str])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def sender(self, queue: str) -> "_Sender":
        """Sends into `queue`."""
        return _Sender(self, queue)

    def receiver(self, queue: str) -> "_Receiver":
        """Receives from `queue`."""
        return _Receiver(self, queue)

    def dead_letters(self, queue: str) -> "_DeadLetters":
        """Reads its dead letters."""
        return _DeadLetters(self, queue)

    async def close(self) -> None:
        """Nothing is held."""

    def put(self, queue: str, received: ReceivedMessage) -> None:
        """Let a message arrive, whoever sent it."""
        self.queues[queue].append(replace(received, queue=queue))
        self.arrived.set()

    def lose(self) -> int:
        """Lose every message that waits. Returns how many there were."""
        lost = sum(len(queue) for queue in self.queues.values())
        self.queues.clear()
        return lost


@dataclass
class _Sender:
    office: PostOffice
    queue: str

    async def open(self) -> None:
        self.office.connected.add(self.queue)

    async def send(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.office.before:
            await self.office.before.pop(0)(messages)
        self.office.sent += messages
        for message in messages:
            if not self.office.loses(message):
                self.office.put(self.queue, received_of(message))
        if self.office.after:
            await self.office.after.pop(0)(messages)

    async def close(self) -> None:
        return


@dataclass
class _Receiver:
    office: PostOffice
    queue: str

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        waiting = self.office.queues[self.queue]
        try:
            async with asyncio.timeout(wait):
                while not waiting:
                    self.office.arrived.clear()
                    await self.office.arrived.wait()
                    waiting = self.office.queues[self.queue]
        except TimeoutError:
            return ()
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        self.office.settled += settlements
        for received, settlement in settlements:
            if isinstance(settlement, Abandon):
                self.office.put(self.queue, replace(received, delivery_count=received.delivery_count + 1))
            if isinstance(settlement, DeadLetter):
                self.office.dead[self.queue].append(
                    DeadLetteredMessage(received, settlement.reason, settlement.description)
                )
        return 0

    async def close(self) -> None:
        return


@dataclass
class _DeadLetters:
    office: PostOffice
    queue: str

    async def receive(self, most: int, wait: float) -> Sequence[DeadLetteredMessage]:
        if not self.office.dead[self.queue]:
            await asyncio.sleep(wait)
        return self.office.dead[self.queue][:most]

    async def remove(self, messages: Sequence[DeadLetteredMessage]) -> None:
        for message in messages:
            self.office.dead[self.queue].remove(message)

    async def close(self) -> None:
        return


def received_of(message: OutgoingMessage, queue: str = "") -> ReceivedMessage:
    """The message as it arrives."""
    return ReceivedMessage(message_id=message.message_id, body=message.body, queue=queue)


async def refuse(_: Sequence[OutgoingMessage]) -> None:
    """A fault: nothing is known of the sending."""
    raise BrokerError("sending", "the link was lost")

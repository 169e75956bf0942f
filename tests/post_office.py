"""A broker inside the test's own process, with faults to order: the bus may be faked, the store never.

Messages lie in queues, are locked when received, and come again when abandoned, or when the test lets their lock go.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from coremachine.runtime.bus.letter import Envelope, Letter
from coremachine.runtime.bus.port import DeadMessage
from coremachine.runtime.bus.verdict import Abandon, DeadLetter, Verdict
from coremachine.runtime.errors import BrokerError

Fault = Callable[[Sequence[Letter]], Awaitable[None]]


@dataclass
class PostOffice:
    """The broker: a transport.

    `sent` are all letters that arrived, `settled` all verdicts, in their order. `connected` are the queues
    that have an open sender.
    """

    sent: list[Letter] = field(default_factory=list[Letter])
    settled: list[tuple[Envelope, Verdict]] = field(default_factory=list[tuple[Envelope, Verdict]])
    queues: defaultdict[str, deque[Envelope]] = field(default_factory=lambda: defaultdict(deque))
    dead: defaultdict[str, list[DeadMessage]] = field(default_factory=lambda: defaultdict(list))
    before: list[Fault] = field(default_factory=list[Fault])
    after: list[Fault] = field(default_factory=list[Fault])
    loses: Callable[[Letter], bool] = lambda _: False
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

    def put(self, queue: str, envelope: Envelope) -> None:
        """Let a message arrive, whoever sent it."""
        self.queues[queue].append(replace(envelope, queue=queue))
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

    async def send(self, letters: Sequence[Letter]) -> None:
        if self.office.before:
            await self.office.before.pop(0)(letters)
        self.office.sent += letters
        for letter in letters:
            if not self.office.loses(letter):
                self.office.put(self.queue, envelope_of(letter))
        if self.office.after:
            await self.office.after.pop(0)(letters)

    async def close(self) -> None:
        return


@dataclass
class _Receiver:
    office: PostOffice
    queue: str

    async def receive(self, most: int, wait: float) -> Sequence[Envelope]:
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

    async def settle(self, verdicts: Sequence[tuple[Envelope, Verdict]]) -> int:
        self.office.settled += verdicts
        for envelope, verdict in verdicts:
            if isinstance(verdict, Abandon):
                self.office.put(self.queue, replace(envelope, delivery_count=envelope.delivery_count + 1))
            if isinstance(verdict, DeadLetter):
                self.office.dead[self.queue].append(DeadMessage(envelope, verdict.reason, verdict.description))
        return 0

    async def close(self) -> None:
        return


@dataclass
class _DeadLetters:
    office: PostOffice
    queue: str

    async def receive(self, most: int, wait: float) -> Sequence[DeadMessage]:
        if not self.office.dead[self.queue]:
            await asyncio.sleep(wait)
        return self.office.dead[self.queue][:most]

    async def remove(self, messages: Sequence[DeadMessage]) -> None:
        for message in messages:
            self.office.dead[self.queue].remove(message)

    async def close(self) -> None:
        return


def envelope_of(letter: Letter, queue: str = "") -> Envelope:
    """The message as it arrives."""
    return Envelope(message_id=letter.message_id, body=letter.body, queue=queue)


async def refuse(_: Sequence[Letter]) -> None:
    """A fault: nothing is known of the sending."""
    raise BrokerError("sending", "the link was lost")

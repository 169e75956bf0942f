"""The ports of a bus: it carries messages that say where work may wait. The database decides whether it does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..store.session import Session
from .messages import Kind, OutgoingMessage, ReceivedMessage
from .settlement import Settlement


@dataclass(frozen=True, slots=True)
class Announcement:
    """That rows of this kind wait in a job. `queued` marks the one that a submission or a resume makes."""

    kind: Kind
    job_id: str
    queued: bool = False


@dataclass(frozen=True, slots=True)
class QueueRoute:
    """A queue of a broker, and whose messages travel in it: the declared types of each kind."""

    queue: str
    types: Mapping[Kind, Sequence[str]]


class MessageSource(Protocol):
    """Where a worker receives messages of these kinds. For one task of the loop."""

    @property
    def name(self) -> str:
        """What it is called in the log."""
        ...

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its messages."""
        ...

    async def receive(self, most: int) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after a while without any. Raises BrokerError.

        Messages that were received and neither settled nor lost come again first.
        """
        ...

    def settle(self, settled: Sequence[tuple[ReceivedMessage, Settlement]]) -> None:
        """Settle messages in the order in which they were received, while their work begins."""
        ...

    def failed(self, error: BaseException) -> None:
        """The messages received last could not be claimed: they stay."""
        ...

    async def close(self) -> None:
        """Settle what is decided, give back the rest."""


class Sender(Protocol):
    """Sends into one queue. For one task of the loop: neither it nor a receiver may be shared."""

    async def open(self) -> None:
        """Connect, where it has not. Raises BrokerError."""

    async def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send them all, in as many batches as their size wants. Returns when the broker has them all.

        Raises BrokerError where that is not known of each: then each may be sent again, with the same id.
        """

    async def close(self) -> None:
        """Let go of the connection."""


class Receiver(Protocol):
    """Receives from one queue, under locks that end by themselves."""

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after `wait` seconds without any. Raises BrokerError."""
        ...

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle each as its settlement says. Returns how many may not have been: those may come again.

        Never raises for a lost lock or connection: whether the broker knows is then not known, and need not be.
        """
        ...

    async def close(self) -> None:
        """Give back what was received and not settled, and let go of the connection."""


@dataclass(frozen=True, slots=True)
class DeadLetteredMessage:
    """A dead letter: the message, and why it is one."""

    received: ReceivedMessage
    reason: str
    description: str


class DeadLetters(Protocol):
    """Receives from the dead letters of one queue."""

    async def receive(self, most: int, wait: float) -> Sequence[DeadLetteredMessage]:
        """Up to `most`; none after `wait` seconds without any. Raises BrokerError."""
        ...

    async def remove(self, messages: Sequence[DeadLetteredMessage]) -> None:
        """They have been recorded. One that could not be removed comes again."""

    async def close(self) -> None:
        """Let go of the connection."""


class Transport(Protocol):
    """A broker: it makes the ends by which queues are written and read."""

    def sender(self, queue: str) -> Sender:
        """A new sender, which connects at its first use."""
        ...

    def receiver(self, queue: str) -> Receiver:
        """A new receiver, which connects at its first use."""
        ...

    def dead_letters(self, queue: str) -> DeadLetters:
        """A new reader of the queue's dead letters."""
        ...

    async def close(self) -> None:
        """Let go of what the ends share, such as a credential. The ends have been closed before."""


class Bus(Protocol):
    """What the flow and the worker need of a bus. One without a transport has no routes."""

    name: str
    routes: Sequence[QueueRoute]

    @property
    def transport(self) -> Transport | None:
        """How its queues are written and read. Raises BrokerError where settings lack what it needs."""

    async def announce(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Make `announcements` known when, and only if, the session's transaction commits."""

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Call `wake` for each announcement that arrives, until cancelled. Reconnects by itself."""

    def message_sources(self) -> Sequence[MessageSource]:
        """Where messages come from. None if no message travels: then a worker claims what is due in the tables."""
        ...

    async def close(self) -> None:
        """Give back what the bus holds."""

"""The ports of a bus. Its messages only name rows that may have work; the database decides whether they do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..store.session import Session
from .messages import Kind, OutgoingMessage, ReceivedMessage
from .settlement import Settlement


@dataclass(frozen=True, slots=True)
class Announcement:
    """Announces that rows of this kind wait in a job. `queued` marks the announcement of a submission or a resume."""

    kind: Kind
    job_id: str
    queued: bool = False


@dataclass(frozen=True, slots=True)
class QueueRoute:
    """A queue of a broker, and the declared types of each kind whose messages it carries."""

    queue: str
    types: Mapping[Kind, Sequence[str]]


class MessageSource(Protocol):
    """A worker's source of messages of these kinds. For use by one asyncio task."""

    @property
    def name(self) -> str:
        """Its name in the log."""
        ...

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its messages."""
        ...

    async def receive(self, most: int) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after a while without any. Raises BrokerError.

        Messages that were received and neither settled nor lost are returned again first.
        """
        ...

    def settle(self, settled: Sequence[tuple[ReceivedMessage, Settlement]]) -> None:
        """Settle messages in the order in which they were received, while their work begins."""
        ...

    def failed(self, error: BaseException) -> None:
        """Keep the messages that were received last, because they could not be claimed."""
        ...

    async def close(self) -> None:
        """Settle the messages that have a settlement, abandon the rest."""


class Sender(Protocol):
    """Sends to one queue. For use by one asyncio task: a sender or receiver must not be shared."""

    async def open(self) -> None:
        """Connect, if it has not. Raises BrokerError."""

    async def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send them all, in as many batches as their size requires. Returns when the broker has them all.

        Raises BrokerError if that is not certain for each: then each may be sent again, with the same id.
        """

    async def close(self) -> None:
        """Close the connection."""


class Receiver(Protocol):
    """Receives from one queue, under locks that end by themselves."""

    async def receive(self, most: int, wait: float) -> Sequence[ReceivedMessage]:
        """Up to `most` messages; none after `wait` seconds without any. Raises BrokerError."""
        ...

    async def settle(self, settlements: Sequence[tuple[ReceivedMessage, Settlement]]) -> int:
        """Settle each message. Returns the number of those that may not have been settled and may be redelivered.

        Never raises for a lost lock or connection: whether the broker settled them is then uncertain, but harmless.
        """
        ...

    async def close(self) -> None:
        """Abandon received messages that were not settled, and close the connection."""


@dataclass(frozen=True, slots=True)
class DeadLetteredMessage:
    """A dead letter: the message, and why it was dead-lettered."""

    received: ReceivedMessage
    reason: str
    description: str


class DeadLetters(Protocol):
    """Receives from the dead letters of one queue."""

    async def receive(self, most: int, wait: float) -> Sequence[DeadLetteredMessage]:
        """Up to `most`; none after `wait` seconds without any. Raises BrokerError."""
        ...

    async def remove(self, messages: Sequence[DeadLetteredMessage]) -> None:
        """Remove them: they have been recorded. One that could not be removed is received again."""

    async def close(self) -> None:
        """Close the connection."""


class Transport(Protocol):
    """A broker: creates the senders and receivers of its queues."""

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
        """Close what the ends share, for example a credential. Call it after the ends are closed."""


class Bus(Protocol):
    """What the flow and the worker need from a bus. A bus without a transport has no routes."""

    name: str
    routes: Sequence[QueueRoute]

    @property
    def transport(self) -> Transport | None:
        """The access to its queues. Raises BrokerError if a setting that it needs is missing."""

    async def announce(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Make `announcements` known when, and only if, the session's transaction commits."""

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Call `wake` for each announcement that arrives, until cancelled. Reconnects by itself."""

    def message_sources(self) -> Sequence[MessageSource]:
        """The sources of messages. None if the bus sends no messages: then a worker claims due rows from the tables."""
        ...

    async def close(self) -> None:
        """Close the resources of the bus."""

"""The ports of a bus: it carries hints that something may be done. The database says whether it may."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..store.session import Session
from .messages import Kind, OutgoingMessage, ReceivedMessage
from .settlement import Settlement

Work = object
"""What a claim has won, in the shape in which the worker that claimed it does it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A hint: an id and what it is the id of. `queued` marks the one that a submission or a resume sends."""

    kind: Kind
    job_id: str
    queued: bool = False


@dataclass(frozen=True, slots=True)
class QueueRoute:
    """A queue of a broker, and whose messages travel in it: the declared types of each kind."""

    queue: str
    types: Mapping[Kind, Sequence[str]]


class Claims(Protocol):
    """How a worker claims, for a bus to call."""

    async def due(self, kind: Kind, limit: int) -> Sequence[Work]:
        """Claim up to `limit` due rows of a kind."""
        ...

    async def named(self, envelopes: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """Claim the rows that messages speak of, in a set; and what is to become of each message, in their order.

        When it returns the claims are committed.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkSource:
    """Where a worker's feed gets work of these kinds: `claim(limit)` returns what it has won.

    One that `waits` returns with nothing only after it has waited for something to come.
    """

    name: str
    kinds: tuple[Kind, ...]
    claim: Callable[[int], Awaitable[Sequence[Work]]]
    close: Callable[[], Awaitable[None]]
    waits: bool = False


class Sender(Protocol):
    """Sends into one queue. For one task of the loop: neither it nor a receiver may be shared."""

    async def open(self) -> None:
        """Connect, where it has not. Raises BrokerError."""

    async def send(self, letters: Sequence[OutgoingMessage]) -> None:
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

    envelope: ReceivedMessage
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

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """Make `messages` known when, and only if, the session's transaction commits."""

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Call `wake` for each announcement that arrives, until cancelled. Reconnects by itself."""

    def intakes(self, claims: Claims) -> Sequence[WorkSource]:
        """Where work comes from: one feed for each."""
        ...

    async def close(self) -> None:
        """Give back what the bus holds."""

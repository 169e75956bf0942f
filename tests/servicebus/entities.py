"""What a queue holds, how it is set up, and what is counted of it."""

from dataclasses import dataclass
from typing import Any

from .codec import Long, Symbol, Timestamp
from .messages import DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, Content

ACTIVE, DEFERRED, SCHEDULED = 0, 1, 2
STATES = ("active", "deferred", "scheduled")
DEAD_LETTERS = "$DeadLetterQueue"
X_SEQUENCE, X_ENQUEUED = Symbol("x-opt-sequence-number"), Symbol("x-opt-enqueued-time")
X_LOCKED, X_STATE = Symbol("x-opt-locked-until"), Symbol("x-opt-message-state")
X_SOURCE = Symbol("x-opt-deadletter-source")


@dataclass
class QueueSettings:
    """How one queue behaves. Times are in seconds, sizes in bytes; each may be changed while the broker runs."""

    lock_duration: float = 60.0
    max_delivery_count: int = 10
    requires_duplicate_detection: bool = False
    duplicate_detection_window: float = 600.0
    max_message_size: int = 256 * 1024
    default_ttl: float | None = None
    dead_lettering_on_expiration: bool = False
    locks_die_with_link: bool = False
    """A lost link unlocks what was delivered on it, at once and counted; else the locks last out their time."""
    release_counts: bool = False
    """A released message has its delivery count raised."""


@dataclass
class Counters:
    """What happened to a queue since the broker started. `delivered` counts each delivery of a message."""

    enqueued: int = 0
    duplicates: int = 0
    delivered: int = 0
    completed: int = 0
    abandoned: int = 0
    deferred: int = 0
    released: int = 0
    dead_lettered: int = 0
    expired: int = 0
    lock_lost: int = 0
    settled_too_late: int = 0
    rejected: int = 0


@dataclass
class Counts(Counters):
    """The counters, and what the queue holds at this moment: all its messages, and those of them that are locked."""

    held: int = 0
    locked: int = 0


@dataclass(frozen=True)
class Told:
    """What a test is told of a message in a queue. `state` is active, deferred or scheduled; `size` is in bytes."""

    sequence: int
    message_id: str | None
    state: str
    locked: bool
    delivery_count: int
    dead_letter_reason: str | None
    dead_letter_description: str | None
    size: int


@dataclass(slots=True, eq=False)
class Message:
    """A message in a queue. Times are in seconds since 1970."""

    sequence: int
    content: Content
    enqueued_at: float
    state: int = ACTIVE
    available: bool = False
    delivery_count: int = 0
    expires_at: float | None = None
    scheduled_for: float | None = None
    lock: bytes | None = None
    locked_until: float = 0.0
    holder: object = None
    source: str | None = None
    """The queue that it was dead-lettered from."""

    def encoded(self) -> bytes:
        """The message for a receiver."""
        marks: dict[Any, Any] = {
            X_SEQUENCE: Long(self.sequence),
            X_ENQUEUED: Timestamp(self.enqueued_at * 1000),
            X_STATE: self.state,
        }
        if self.lock:
            marks[X_LOCKED] = Timestamp(self.locked_until * 1000)
        if self.source:
            marks[X_SOURCE] = self.source
        return self.content.encoded(self.delivery_count, marks)

    def told(self) -> Told:
        """What a test wants to know of it."""
        properties = self.content.read_application_properties()
        return Told(
            sequence=self.sequence,
            message_id=None if self.content.message_id is None else str(self.content.message_id),
            state=STATES[self.state],
            locked=self.lock is not None,
            delivery_count=self.delivery_count,
            dead_letter_reason=properties.get(DEAD_LETTER_REASON),
            dead_letter_description=properties.get(DEAD_LETTER_DESCRIPTION),
            size=len(self.content.body),
        )

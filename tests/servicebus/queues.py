"""A queue: what is ready, locked, deferred and scheduled, and the moves between these."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from os import urandom
from typing import Protocol

from .entities import ACTIVE, DEAD_LETTERS, DEFERRED, SCHEDULED, Counters, Message, QueueSettings
from .messages import Content


class LockLostError(Exception):
    """The lock ran out, or the message was settled before."""


class Consumer(Protocol):
    """A link that takes messages from a queue."""

    deletes: bool

    def wants(self) -> bool:
        """Say whether it has credit."""
        ...

    def newest_first(self) -> bool:
        """Say whether the next message is to come out of order."""
        ...

    def deliver(self, message: Message) -> None:
        """Send it one message."""
        ...


class Queue:
    """One queue. Everything runs in the broker's event loop, so no move is interrupted."""

    def __init__(self, name: str, settings: QueueSettings, dead_letters: "Queue | None" = None) -> None:
        self.name = name
        self.settings = settings
        self.counters = Counters()
        self.dead_letters = dead_letters
        self.messages: dict[int, Message] = {}
        self.locked: dict[bytes, Message] = {}
        self.consumers: deque[Consumer] = deque()
        self._ready: list[tuple[int, Message]] = []
        self._sequence = count(1)
        self._seen: dict[object, float] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._alarm: asyncio.TimerHandle | None = None

    # ways in

    def enqueue(self, content: Content) -> Message | None:
        """Take in a message; None where it is a duplicate. `pump` hands it out."""
        if self._duplicate(content.message_id):
            self.counters.duplicates += 1
            return None
        return self.put(content)

    def put(self, content: Content, *, source: str | None = None) -> Message:
        """Take in a message without looking for duplicates."""
        message = self._admit(content)
        message.source = source
        self.counters.enqueued += 1
        if message.scheduled_for and message.scheduled_for > message.enqueued_at:
            message.state = SCHEDULED
            self._at(message.scheduled_for, lambda: self._activate(message))
        else:
            self._make_ready(message)
        return message

    def _admit(self, content: Content) -> Message:
        message = Message(next(self._sequence), content, time.time(), scheduled_for=content.scheduled_for)
        ttl = min(filter(None, (content.ttl, self.settings.default_ttl)), default=None)
        if ttl is not None:
            message.expires_at = message.enqueued_at + ttl
            self._at(message.expires_at, lambda: self._expire(message))
        self.messages[message.sequence] = message
        return message

    def _duplicate(self, message_id: object) -> bool:
        if not self.settings.requires_duplicate_detection or message_id is None:
            return False
        now = time.time()
        while self._seen and next(iter(self._seen.values())) <= now:
            del self._seen[next(iter(self._seen))]
        if message_id in self._seen:
            return True
        self._seen[message_id] = now + self.settings.duplicate_detection_window
        return False

    def _make_ready(self, message: Message) -> None:
        message.state, message.available = ACTIVE, True
        heappush(self._ready, (message.sequence, message))

    def _activate(self, message: Message) -> None:
        """A scheduled message whose time has come is enqueued anew, under another number."""
        if message.state == SCHEDULED and self.messages.get(message.sequence) is message:
            del self.messages[message.sequence]
            message.sequence, message.enqueued_at = next(self._sequence), time.time()
            self.messages[message.sequence] = message
            self._make_ready(message)

    def cancel(self, sequences: list[int]) -> None:
        """Drop scheduled messages. Raises KeyError, and drops none, where one of them is not scheduled."""
        for sequence in sequences:
            if self.messages[sequence].state != SCHEDULED:
                raise KeyError(sequence)
        for sequence in sequences:
            del self.messages[sequence]

    # ways out

    def pump(self) -> None:
        """Hand out what is ready to the consumers with credit, in turn."""
        idle = 0
        while idle < len(self.consumers) and self._ready:
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if not consumer.wants():
                idle += 1
            elif message := self._next(newest=consumer.newest_first()):
                idle = 0
                self.take(message, consumer, deletes=consumer.deletes)
                consumer.deliver(message)

    def _next(self, *, newest: bool) -> Message | None:
        if newest:
            self._ready = [entry for entry in self._ready if entry[1].available]
            if self._ready:
                last = max(self._ready)
                self._ready.remove(last)
                self._ready.sort()
                return last[1]
        while self._ready:
            message = heappop(self._ready)[1]
            if message.available:
                return message
        return None

    def take(self, message: Message, holder: object, *, deletes: bool) -> None:
        """Give a message to a receiver: locked for it, or removed."""
        self.counters.delivered += 1
        message.available = False
        if deletes:
            self.counters.completed += 1
            self._remove(message)
            return
        message.lock, message.holder = urandom(16), holder
        self.locked[message.lock] = message
        self._lock_until(message, message.lock)

    def _lock_until(self, message: Message, lock: bytes) -> None:
        message.locked_until = time.time() + self.settings.lock_duration
        self._at(message.locked_until, lambda: self._lock_ran_out(message, lock))

    def _lock_ran_out(self, message: Message, lock: bytes) -> None:
        if message.lock == lock and time.time() >= message.locked_until:
            self._lose(message)

    def _lose(self, message: Message) -> None:
        self.counters.lock_lost += 1
        self._put_back(self._unlock(message), counts=True)

    def expire_locks(self) -> int:
        """End every lock now, as if its time were over."""
        held = list(self.locked.values())
        for message in held:
            self._lose(message)
        self.pump()
        return len(held)

    def link_lost(self, holder: object) -> None:
        """A link went away with messages of its own; whether they stay locked is a setting."""
        if self.settings.locks_die_with_link:
            for message in [message for message in self.locked.values() if message.holder is holder]:
                self._lose(message)
            self.pump()

    # settlement

    def held(self, lock: bytes) -> Message:
        """The message under this lock. Raises LockLostError."""
        try:
            return self.locked[lock]
        except KeyError:
            self.counters.settled_too_late += 1
            raise LockLostError(f"the lock on a message of {self.name} is gone") from None

    def renew(self, lock: bytes) -> float:
        """Extend a lock; the time it now lasts until."""
        message = self.held(lock)
        self._lock_until(message, lock)
        return message.locked_until

    def complete(self, lock: bytes) -> None:
        """Remove the message: its work is done."""
        self._remove(self._unlock(self.held(lock)))
        self.counters.completed += 1

    def abandon(self, lock: bytes) -> None:
        """Offer the message again, with its delivery counted."""
        message = self._unlock(self.held(lock))
        self.counters.abandoned += 1
        self._put_back(message, counts=True)

    def release(self, lock: bytes) -> None:
        """Offer the message again: the receiver never looked at it."""
        message = self._unlock(self.held(lock))
        self.counters.released += 1
        self._put_back(message, counts=self.settings.release_counts)

    def defer(self, lock: bytes) -> None:
        """Set the message aside; it is received by its sequence number."""
        message = self._unlock(self.held(lock))
        self.counters.deferred += 1
        message.state = DEFERRED

    def dead_letter(self, lock: bytes, reason: str | None, description: str | None) -> None:
        """Move the message to the dead letter queue."""
        self._bury(self._unlock(self.held(lock)), reason, description)

    def _unlock(self, message: Message) -> Message:
        if message.lock:
            del self.locked[message.lock]
        message.lock = message.holder = None
        return message

    def _put_back(self, message: Message, *, counts: bool) -> None:
        message.delivery_count += counts
        if self.dead_letters and message.delivery_count >= self.settings.max_delivery_count:
            told = f"Message could not be consumed after {message.delivery_count} delivery attempts."
            self._bury(message, "MaxDeliveryCountExceeded", told)
        elif message.expires_at is not None and message.expires_at <= time.time():
            self._expire(message)
        elif message.state == ACTIVE:
            self._make_ready(message)

    def _expire(self, message: Message) -> None:
        if message.lock or self.messages.get(message.sequence) is not message:
            return
        self.counters.expired += 1
        if self.dead_letters and self.settings.dead_lettering_on_expiration:
            told = "The message expired and was dead lettered."
            self._bury(message, "TTLExpiredException", told)
        else:
            self._remove(message)

    def _bury(self, message: Message, reason: str | None, description: str | None) -> None:
        self._remove(message)
        self.counters.dead_lettered += 1
        grave = self.dead_letters or self
        buried = grave.put(message.content.dead_lettered(reason, description), source=self.name)
        buried.delivery_count = message.delivery_count
        grave.pump()

    def _remove(self, message: Message) -> None:
        message.available = False
        del self.messages[message.sequence]

    # by number

    def deferred(self, sequences: list[int]) -> list[Message]:
        """The deferred messages with these numbers. Raises KeyError where one is not there, or is locked."""
        found = [self.messages[sequence] for sequence in sequences]
        if any(message.state != DEFERRED or message.lock for message in found):
            raise KeyError(sequences)
        return found

    def peek(self, first: int, most: int) -> list[Message]:
        """Messages in whatever state, from a number on."""
        return [self.messages[number] for number in sorted(self.messages) if number >= first][:most]

    # time

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heappush(self._due, (when, next(self._order), what))
        if self._due[0][0] == when:
            self._set_alarm(when)

    def _set_alarm(self, when: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, when - time.time()), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        while self._due and self._due[0][0] <= time.time():
            heappop(self._due)[2]()
        if self._due:
            self._set_alarm(self._due[0][0])
        self.pump()

    def clear(self) -> None:
        """Forget all messages, locks, counters and the history of duplicates."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        for kept in (self._due, self._ready, self._seen, self.locked, self.messages):
            kept.clear()
        self.counters = Counters()


def with_dead_letters(name: str, settings: QueueSettings) -> tuple[Queue, Queue]:
    """A queue and the one of its dead letters, which keeps what it has: it has none of its own."""
    plain = replace(settings, requires_duplicate_detection=False, default_ttl=None)
    grave = Queue(f"{name}/{DEAD_LETTERS}", plain)
    return Queue(name, settings, grave), grave

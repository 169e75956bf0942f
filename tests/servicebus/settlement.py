"""What a receiver says became of a message, whether by an outcome on its link or through `$management`."""

from dataclasses import dataclass
from typing import Any, Literal

from . import frames
from .codec import Described
from .messages import DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON
from .queues import Queue

Verdict = Literal["complete", "abandon", "release", "defer", "dead-letter"]
LOCK_LOST = "com.microsoft:message-lock-lost"
STATUSES: dict[str, Verdict] = {
    "completed": "complete",
    "abandoned": "abandon",
    "defered": "defer",
    "suspended": "dead-letter",
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """A verdict on a message. `confirmation` is how AMQP tells the client that it was carried out."""

    verdict: Verdict
    code: int = frames.ACCEPTED
    reason: str | None = None
    description: str | None = None

    @classmethod
    def of(cls, state: Described | None) -> "Settlement":
        """Read an outcome; none at all means that the receiver is content."""
        if state is None or state.code == frames.ACCEPTED:
            return COMPLETE
        if state.code == frames.RELEASED:
            return cls("release", frames.RELEASED)
        if state.code == frames.MODIFIED:
            undeliverable = len(state.value) > 1 and bool(state.value[1])
            failed = bool(state.value and state.value[0])
            verdict: Verdict = "defer" if undeliverable else "abandon" if failed else "release"
            return cls(verdict, frames.MODIFIED)
        return cls._refused(state)

    @classmethod
    def _refused(cls, state: Described) -> "Settlement":
        said: list[Any] = state.value[0].value if state.value and state.value[0] else []
        condition, description, info = [*said, None, None, None][:3]
        told: dict[str, Any] = info or {}
        reason = told.get(DEAD_LETTER_REASON, condition)
        return cls("dead-letter", frames.REJECTED, reason, told.get(DEAD_LETTER_DESCRIPTION, description))

    def carry_out(self, queue: Queue, lock: bytes) -> None:
        """Do to the message what was said. Raises LockLostError."""
        if self.verdict == "complete":
            queue.complete(lock)
        elif self.verdict == "abandon":
            queue.abandon(lock)
        elif self.verdict == "release":
            queue.release(lock)
        elif self.verdict == "defer":
            queue.defer(lock)
        else:
            queue.dead_letter(lock, self.reason, self.description)

    @property
    def confirmation(self) -> Described:
        """The same outcome, without what it carried."""
        return Described(self.code, [])


COMPLETE = Settlement("complete")

"""The port of a bus: it carries hints that something may be done. The database says whether it may."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..store.session import Claim, Row, Session

Kind = Literal["job", "task", "callback"]
KINDS: tuple[Kind, ...] = ("job", "task", "callback")


@dataclass(frozen=True, slots=True)
class Message:
    """A hint: an id and what it is the id of. `queued` marks the one that a submission or a resume sends."""

    kind: Kind
    job_id: str
    queued: bool = False


class Bus(Protocol):
    """What the flow and the worker need of a bus."""

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """Send `messages` when, and only if, the session's transaction commits."""

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Call `wake` for each hint that arrives, until cancelled. Reconnects by itself."""

    async def claim(self, session: Session, claim: Claim) -> list[Row]:
        """Claim rows that hints have spoken of."""
        ...

"""The PostgreSQL bus: the row that can be claimed is the message, and NOTIFY wakes those who sleep."""

from collections.abc import Callable, Sequence
from functools import partial

from ..store.database import Database
from ..store.session import Note, Session
from .channel import Channel
from .messages import KINDS, Kind
from .port import Claims, Message, QueueRoute, Transport, WorkSource


class PostgresBus:
    """Hints over LISTEN and NOTIFY; claims straight from the tables."""

    name = "postgres"
    routes: Sequence[QueueRoute] = ()
    transport: Transport | None = None

    def __init__(self, database: Database) -> None:
        self._channel = Channel(database)

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """Wake the workers at commit. `job_queued` is told in the same transaction."""
        await session.note(
            Note(type="job_queued", job_id=message.job_id, data={}) for message in messages if message.queued
        )
        await self._channel.notify(session, (message.kind for message in messages))

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Wake the feeds until cancelled."""
        await self._channel.listen(wake)

    def intakes(self, claims: Claims) -> Sequence[WorkSource]:
        """One for each kind: it claims what is due."""
        return [WorkSource(f"{kind}s", (kind,), partial(claims.due, kind), _nothing_to_close) for kind in KINDS]

    async def close(self) -> None:
        """Nothing is held."""


async def _nothing_to_close() -> None:
    return

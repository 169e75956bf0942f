"""The PostgreSQL bus: the row that can be claimed is the message, and NOTIFY wakes idle workers."""

from collections.abc import Callable, Sequence

from ...statemachine.lifecycles import JOB_QUEUED
from ..store.session import Note, Session
from .channel import Channel
from .messages import Kind
from .port import Announcement, MessageSource, QueueRoute, Transport


class PostgresBus:
    """Announcements over LISTEN and NOTIFY; workers claim straight from the tables."""

    name = "postgres"
    routes: Sequence[QueueRoute] = ()
    transport: Transport | None = None

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def announce(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Wake the workers at commit. `job_queued` is written in the same transaction."""
        await session.note(Note(type=JOB_QUEUED, job_id=one.job_id, data={}) for one in announcements if one.queued)
        await self._channel.notify(session, (one.kind for one in announcements))

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """Wake the producers until cancelled."""
        await self._channel.listen(wake)

    def message_sources(self) -> Sequence[MessageSource]:
        """None: the rows are the messages."""
        return ()

    async def close(self) -> None:
        """Does nothing: it holds no resources."""

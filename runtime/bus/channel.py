"""The channel on which a committed transaction announces work: LISTEN and NOTIFY of PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterable

import psycopg

from ..store.database import Database
from ..store.session import Session
from .messages import KINDS, Kind


class Channel:
    """One channel, named after the schema. Without `listen` nothing is sent and nothing received: workers only poll."""

    def __init__(self, database: Database, *, listen: bool = True) -> None:
        self.name = f"coremachine_{database.schema}"
        self._database = database
        self._listen = listen

    async def notify(self, session: Session, kinds: Iterable[Kind]) -> None:
        """One NOTIFY for each kind: it is delivered at commit."""
        for kind in sorted(set(kinds)) if self._listen else ():
            await session.run("bus/notify", {"channel": self.name, "payload": kind})

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """LISTEN until cancelled. After a lost connection every kind is woken once: a NOTIFY may have been missed."""
        if not self._listen or self._database.session_url is None:
            await asyncio.Event().wait()  # until cancelled
        participant = self._database.outage.participant()
        while True:
            try:
                async with await self._database.connection("listener") as connection:
                    await connection.execute(f"LISTEN {self.name}".encode())
                    participant.succeeded()
                    for kind in KINDS:
                        wake(kind)
                    async for notification in connection.notifies():
                        for kind in KINDS:
                            if notification.payload == kind:
                                wake(kind)
            except psycopg.OperationalError as error:
                await participant.wait(error)

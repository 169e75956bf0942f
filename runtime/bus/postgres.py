"""The PostgreSQL bus: the row that can be claimed is the message, and NOTIFY wakes those who sleep."""

from collections.abc import Callable, Sequence

import psycopg

from ..store.database import Database
from ..store.session import Claim, Note, Row, Session
from .port import KINDS, Kind, Message


class PostgresBus:
    """Hints over LISTEN and NOTIFY on one channel, named after the schema."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.channel = f"coremachine_{database.schema}"

    async def announce(self, session: Session, messages: Sequence[Message]) -> None:
        """One NOTIFY for each kind: it is delivered at commit. `job_queued` is told in the same transaction."""
        await session.note(
            Note(type="job_queued", job_id=message.job_id, data={}) for message in messages if message.queued
        )
        for kind in sorted({message.kind for message in messages}):
            await session.run("notify", {"channel": self.channel, "payload": kind})

    async def listen(self, wake: Callable[[Kind], None]) -> None:
        """LISTEN until cancelled. After a lost connection every kind is woken once: a hint may have been missed."""
        party = self.database.outage.party()
        while True:
            try:
                async with await self.database.connection("listener") as connection:
                    await connection.execute(f"LISTEN {self.channel}".encode())
                    party.through()
                    for kind in KINDS:
                        wake(kind)
                    async for notification in connection.notifies():
                        for kind in KINDS:
                            if notification.payload == kind:
                                wake(kind)
            except psycopg.OperationalError as error:
                await party.wait(error)

    async def claim(self, session: Session, claim: Claim) -> list[Row]:
        """Claim straight from the table."""
        return await session.claim(claim)

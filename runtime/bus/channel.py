"""The channel on which a committed transaction announces work: LISTEN and NOTIFY of PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import psycopg

from ..logs import logger
from ..store.answer_limit import answer_within
from ..store.database import Database
from ..store.queries import query
from ..store.session import Row, Session
from .messages import KINDS, Kind

log = logger("bus")
PROBE_SECONDS: Final = 3.0
"""Seconds between probes. With ANSWER_SECONDS: less than a lease passes until a dead line is noticed."""
ANSWER_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 15.0
"""More than a connection attempt takes until it is given up."""


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
        """LISTEN until cancelled. After a lost connection every kind is woken once: a NOTIFY may have been missed.

        The connection is probed every few seconds. If it does not answer in time, another replaces it.
        """
        if not self._listen or self._database.session_url is None:
            await asyncio.Event().wait()  # until cancelled
        participant = self._database.outage.participant()
        while True:
            try:
                async with await self._connection() as connection:
                    await self._begin(connection, wake)
                    participant.succeeded()
                    await self._receive(connection, wake)
            except psycopg.OperationalError as error:
                await participant.wait(error)

    async def _connection(self) -> psycopg.AsyncConnection[Row]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._database.connection("listener")
        except TimeoutError:
            raise psycopg.OperationalError(f"no connection within {CONNECT_SECONDS:g} s") from None

    async def _begin(self, connection: psycopg.AsyncConnection[Row], wake: Callable[[Kind], None]) -> None:
        with answer_within(connection, ANSWER_SECONDS):
            await connection.execute(f"LISTEN {self.name}".encode())
        for kind in KINDS:
            wake(kind)

    async def _receive(self, connection: psycopg.AsyncConnection[Row], wake: Callable[[Kind], None]) -> None:
        """Receive notifications until the connection is lost. If only the LISTEN was lost, it is repeated."""
        was_lost = False
        while True:
            async for notification in connection.notifies(timeout=PROBE_SECONDS):
                for kind in KINDS:
                    if notification.payload == kind:
                        wake(kind)
            if await self._is_listening(connection):
                if was_lost:
                    log.info("notifications are received again", channel=self.name)
                was_lost = False
                continue
            if not was_lost:
                log.warning("the connection no longer receives notifications; listening again", channel=self.name)
            was_lost = True
            await self._begin(connection, wake)

    async def _is_listening(self, connection: psycopg.AsyncConnection[Row]) -> bool:
        with answer_within(connection, ANSWER_SECONDS):
            probe = query("bus/probe", self._database.schema)
            row = await (await connection.execute(probe, {"channel": self.name})).fetchone()
        return row is not None and bool(row["listening"])

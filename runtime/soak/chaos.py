"""What is done to the workers and to the server while the jobs run."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from random import Random

import psycopg
from psycopg_pool import PoolTimeout

from ..embedded import EmbeddedServerError
from ..store.database import Database
from .figures import Figures
from .fleet import Fleet
from .server import ENDINGS, Server

LOST = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
LOOK = 0.2
MOST_STARTS = 5
ORPHANS_EVERY = 20.0


class Chaos:
    """Kills workers and restarts the server until it is told to stop. Each is random, with the given mean."""

    def __init__(self, fleet: Fleet, server: Server, database: Database, figures: Figures, random: Random) -> None:
        self._fleet = fleet
        self._server = server
        self._database = database
        self._figures = figures
        self._random = random
        self.stopped = asyncio.Event()

    async def keep_fleet(self) -> None:
        """Replace each worker that has ended, let stopped ones go on, and look for what the dead have left.

        Until cancelled.
        """
        looked = time.monotonic()
        while True:
            self._fleet.keep()
            if time.monotonic() - looked > ORPHANS_EVERY:
                looked = time.monotonic()
                self.look_for_orphans()
            await asyncio.sleep(LOOK)

    def look_for_orphans(self) -> None:
        """A process of a handler that outlives its worker is a violation."""
        for pid in self._fleet.orphans():
            self._figures.violate(f"process {pid} of a handler has outlived its worker")

    async def kill_workers(self, every: float) -> None:
        """Kill or stop a worker now and then."""
        while not await self._passed(self._random.expovariate(1 / every)):
            self._fleet.strike(self._random)

    async def restart_server(self, every: float) -> None:
        """End the server and start it again, in each of the ways in turn."""
        kinds = list(ENDINGS)
        self._random.shuffle(kinds)
        while not await self._passed(every * (0.5 + self._random.random())):
            kind = kinds[sum(self._figures.restarts.values()) % len(kinds)]
            await self._server.end(kind, self._random)
            await self._bring_up()
            self._figures.restarts[kind] += 1
            await self._measure_progress()

    async def _bring_up(self) -> None:
        """A server that does not come up is a violation; one that never does ends the soak."""
        for failures in count(1):
            try:
                await self._server.begin()
            except EmbeddedServerError as error:
                self._figures.violate(f"PostgreSQL did not come up: {error}")
                if failures >= MOST_STARTS:
                    raise
            else:
                return

    async def _passed(self, seconds: float) -> bool:
        """Wait; True where the end has come meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
        return self.stopped.is_set()

    async def _measure_progress(self) -> None:
        since = datetime.now(UTC)  # the database's clock, since the server is here
        while not self.stopped.is_set():
            moved = await self._first_move(since)
            if moved is not None:
                self._figures.measure("from a restart to the first progress", (moved - since).total_seconds())
                return
            await asyncio.sleep(LOOK)

    async def _first_move(self, since: datetime) -> datetime | None:
        try:
            async with self._database.session() as session:
                (row,) = await session.fetch("soak/moved_since", {"since": since})
        except LOST:
            return None
        moved: datetime | None = row["moved"]
        return moved

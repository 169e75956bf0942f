"""Kills and restarts of the workers and of the server while the jobs run."""

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
from .server import SHUTDOWNS, Server
from .workers import Workers

CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
POLL_SECONDS = 0.2
MOST_STARTS = 5
ORPHAN_CHECK_SECONDS = 20.0


class Chaos:
    """Kills workers and restarts the server until `stopped` is set. Intervals are random, with a given mean."""

    def __init__(self, workers: Workers, server: Server, database: Database, figures: Figures, random: Random) -> None:
        self._workers = workers
        self._server = server
        self._database = database
        self._figures = figures
        self._random = random
        self.stopped = asyncio.Event()

    async def maintain_workers(self) -> None:
        """Replace workers that have ended, continue paused ones, and check for orphans. Runs until cancelled."""
        checked = time.monotonic()
        while True:
            self._workers.maintain()
            if time.monotonic() - checked > ORPHAN_CHECK_SECONDS:
                checked = time.monotonic()
                self.check_orphans()
            await asyncio.sleep(POLL_SECONDS)

    def check_orphans(self) -> None:
        """Report each process of a handler that outlives its worker as a violation."""
        for pid in self._workers.orphans():
            self._figures.add_violation(f"process {pid} of a handler has outlived its worker")

    async def kill_workers(self, every: float) -> None:
        """Kill or pause a worker, every so many seconds on average."""
        while not await self._stopped_within(self._random.expovariate(1 / every)):
            self._workers.strike(self._random)

    async def restart_server(self, every: float) -> None:
        """End the server and start it again; each way of ending it has its turn."""
        kinds = list(SHUTDOWNS)
        self._random.shuffle(kinds)
        while not await self._stopped_within(every * (0.5 + self._random.random())):
            kind = kinds[sum(self._figures.restarts.values()) % len(kinds)]
            await self._server.end(kind, self._random)
            await self._start_server()
            self._figures.restarts[kind] += 1
            await self._measure_progress()

    async def _start_server(self) -> None:
        """Start the server. A failed start is a violation; several in a row end the soak."""
        for failures in count(1):
            try:
                await self._server.start()
            except EmbeddedServerError as error:
                self._figures.add_violation(f"PostgreSQL did not start: {error}")
                if failures >= MOST_STARTS:
                    raise
            else:
                return

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait. Returns True if it was stopped meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
        return self.stopped.is_set()

    async def _measure_progress(self) -> None:
        since = datetime.now(UTC)  # the database's clock too: the server runs on this machine
        while not self.stopped.is_set():
            moved = await self._first_move(since)
            if moved is not None:
                self._figures.measure("from a restart to the first progress", (moved - since).total_seconds())
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _first_move(self, since: datetime) -> datetime | None:
        try:
            async with self._database.session() as session:
                (row,) = await session.fetch("soak/first_event_since", {"since": since})
        except CONNECTION_ERRORS:
            return None
        moved: datetime | None = row["moved"]
        return moved

"""Runs every few seconds in each worker. Its runs and failures stand in the database, where health can see them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import random

import psycopg

from ...statemachine.errors import OperationError
from ..bus.port import Bus
from ..flow.deadline import end_overdue_jobs, end_overdue_tasks
from ..flow.rescue import close_counted_out, repost_idle_jobs, rescue_callbacks, rescue_tasks
from ..logs import logger
from ..settings import Settings
from ..store.database import Database
from ..store.rows import ClaimedTask
from ..store.session import Session
from ..store.text import error_data

log = logger("reconciler")
AT_ONCE = 500
Beat = Callable[[Session, str], Awaitable[None]]
"""Writes what else is to be told with the heartbeat of the worker named."""


class Reconciler:
    """Rescues expired leases, ends what is past its time, re-drives what is half advanced, and records that it did.

    Several may run at once: they use guarded moves, so each thing is done by one of them.
    """

    def __init__(  # noqa: PLR0913 - the last is an option
        self,
        database: Database,
        bus: Bus,
        worker: str,
        settings: Settings,
        patience: float = 0.0,
        *,
        beat: Beat | None = None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._worker = worker
        self._settings = settings
        self._beat = beat
        self._patience = patience
        self._party = database.outage.party()
        self._runs = 0
        self._failures = 0
        self._last_error: dict[str, object] | None = None

    async def run(self) -> None:
        """Reconcile until cancelled. A run that fails is logged once, recorded, and tried again in time.

        After an outage it waits for `patience` seconds: workers that live must be able to renew what they hold first.
        """
        refused = False
        while True:
            try:
                found = await self.run_once()
                self._party.through()
                refused = False
            except psycopg.OperationalError as error:
                self._note(error)
                await self._party.wait(error)
                await self._database.outage.endure(lambda: self._write_record({}))
                self._party.through()
                await asyncio.sleep(self._patience)
                continue
            except (psycopg.Error, OperationError) as error:
                self._note(error)
                if not refused:
                    log.warning("reconciling failed; trying again", error=str(error).strip())
                refused, found = True, {}
            await self._record(found)
            # Workers that were started together should not all look at the same moment.
            await asyncio.sleep(self._settings.reconcile * (0.75 + random() / 2))  # noqa: S311 - no secret

    async def run_once(self) -> dict[str, int]:
        """Look once at everything, and return how much of each was found."""
        self._runs += 1
        return {
            "tasks_rescued": await self._rescue_tasks(),
            "callbacks_rescued": await rescue_callbacks(self._database, self._bus, AT_ONCE, self._worker),
            "stages_closed": await close_counted_out(self._database, self._bus, AT_ONCE),
            "jobs_sent_for": await repost_idle_jobs(self._database, self._bus, AT_ONCE),
            "jobs_overdue": await end_overdue_jobs(self._database, self._bus, AT_ONCE),
            "tasks_overdue": await self._end_overdue_tasks(),
        }

    async def stopped(self) -> None:
        """Say that its worker has ended as it should; one that cannot say so is taken for lost in time."""
        try:
            async with self._database.session() as session:
                await session.run("stop_worker", {"worker": self._worker})
        except psycopg.Error as error:
            log.warning("the end of the worker could not be recorded", error=str(error).strip())

    async def _rescue_tasks(self) -> int:
        async with self._database.session() as session:
            rows = await session.fetch("expired_tasks", {"limit": AT_ONCE})
        if not rows:
            return 0
        return await rescue_tasks(self._database, self._bus, [ClaimedTask(**row) for row in rows], self._worker)

    async def _end_overdue_tasks(self) -> int:
        limits = {"stop_grace": self._settings.stop_grace, "overrun": self._settings.overrun}
        async with self._database.session() as session:
            rows = await session.fetch("overdue_tasks", {"limit": AT_ONCE, **limits})
        if not rows:
            return 0
        return await end_overdue_tasks(self._database, self._bus, [ClaimedTask(**row) for row in rows], self._worker)

    async def _record(self, found: dict[str, int]) -> None:
        if any(found.values()):
            log.warning("found and sent on", **found)
        try:
            await self._write_record(found)
        except psycopg.Error as error:
            self._note(error)

    async def _write_record(self, found: dict[str, int]) -> None:
        recorded = {
            "worker": self._worker,
            "runs": self._runs,
            "failures": self._failures,
            "last_error": json.dumps(self._last_error),
            "found": json.dumps(found),
        }
        async with self._database.session() as session:
            await session.run("record_reconciliation", recorded)
            if self._beat is not None:
                await self._beat(session, self._worker)
            await session.run("forget_workers")

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self._last_error = error_data(error)

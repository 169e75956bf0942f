"""Runs every few seconds in each worker. Its runs and failures are recorded in the database, for health checks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import random

import psycopg

from ..bus.port import Bus
from ..logs import logger
from ..settings import Settings
from ..store.answer_limit import answer_within
from ..store.database import Database
from ..store.failures import Failures
from ..store.session import Session
from ..store.text import error_data
from ..store.transient import is_transient
from ..store.turns import LEAST_SECONDS, Turns
from .steps import Step, Steps

log = logger("reconciler")
WriteHeartbeat = Callable[[Session, str], Awaitable[None]]
"""Writes the other parts of the named worker's heartbeat."""


class Reconciler:
    """Rescues expired leases, ends overdue work, completes half-finished steps, and records its runs.

    Several may run at once: they use guarded moves, so each item is handled by one of them.
    """

    def __init__(  # noqa: PLR0913 - the last are options
        self,
        database: Database,
        bus: Bus,
        worker: str,
        settings: Settings,
        patience: float = 0.0,
        *,
        write_heartbeat: WriteHeartbeat | None = None,
        failures: Failures | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._worker = worker
        self._settings = settings
        self._write_heartbeat = write_heartbeat
        self._loops = Failures() if failures is None else failures
        self._turns = Turns(settings.lease, database.outage) if turns is None else turns
        self._steps = Steps(database, bus, worker, settings)
        self._patience = patience
        self._participant = database.outage.participant()
        self._found: dict[str, int] = {}
        self._runs = 0
        self._failures = 0
        self._last_error: dict[str, object] | None = None

    async def run(self) -> None:
        """Reconcile until cancelled. A run that fails is logged once, recorded, and tried again in time.

        After an outage it waits for `patience` seconds, so that live workers can renew their leases first.
        """
        while True:
            try:
                found = await self.run_once()
                self._participant.succeeded()
            except psycopg.Error as error:
                self._note(error)
                await self._participant.wait(error)
                self._found = {}
                await self._database.outage.retry_until_available(self._write_record)
                self._participant.succeeded()
                await asyncio.sleep(self._patience)
                continue
            if any(found.values()):
                log.warning("found and repaired", **found)
            self._found = found
            await self._record()
            # Workers that were started together should not all run it at the same time.
            await asyncio.sleep(self._settings.reconcile * (0.75 + random() / 2))  # noqa: S311 - not a secret

    async def run_heartbeat(self) -> None:
        """Write the heartbeat until cancelled, however long a run takes."""
        while True:
            await asyncio.sleep(self._settings.reconcile)
            await self._record()

    async def run_once(self) -> dict[str, int]:
        """Do every step once, even if an earlier one failed, and return how many items each found and handled.

        Raises psycopg.Error in an outage.
        """
        self._runs += 1
        return {name: await self._done(name, step) for name, step in self._steps.by_name.items()}

    async def _done(self, name: str, step: Step) -> int:
        try:
            done = await step()
        except Exception as error:
            if is_transient(error):
                raise
            self._note(error)
            if self._loops.add(f"reconciler, {name}", error) == 1:
                log.exception("a step of reconciling failed; it is tried again", step=name)
            return 0
        self._loops.end(f"reconciler, {name}")
        return done

    async def stopped(self) -> None:
        """Record that its worker has ended normally; without that record it counts as lost after a while."""
        try:
            async with self._database.session() as session:
                await session.run("reconciler/stop_worker", {"worker": self._worker})
        except psycopg.Error as error:
            log.warning("the end of the worker could not be recorded", error=str(error).strip())

    async def _record(self) -> None:
        try:
            await self._write_record()
        except psycopg.Error as error:
            self._note(error)

    async def _write_record(self) -> None:
        recorded = {
            "worker": self._worker,
            "runs": self._runs,
            "failures": self._failures,
            "last_error": json.dumps(self._last_error),
            "found": json.dumps(self._found),
            "loops": json.dumps(self._state_of_loops()),
        }
        # a heartbeat on a dead line must not hide for long that the worker is alive, or that it is stuck
        seconds = max(self._settings.lease, LEAST_SECONDS)
        async with self._database.session() as session:
            with answer_within(session.connection, seconds):
                await session.run("reconciler/record_reconciliation", recorded)
                if self._write_heartbeat is not None:
                    await self._write_heartbeat(session, self._worker)
                await session.run("reconciler/retire")

    def _state_of_loops(self) -> dict[str, dict[str, object]]:
        """The loops that fail or are stuck: a worker with a loop that has `stuck_s` does not count as alive."""
        loops: dict[str, dict[str, object]] = self._loops.as_json()
        for name, seconds in self._turns.stuck().items():
            loops[name] = {**loops.get(name, {}), "stuck_s": seconds}
        return loops

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self._last_error = error_data(error)

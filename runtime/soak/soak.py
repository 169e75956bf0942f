"""One soak, from the start of its workers to its report."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from ..app import AsyncCoreMachine
from .chaos import CONNECTION_ERRORS, Chaos
from .driver import Driver
from .figures import Figures
from .jobs import JOBS
from .options import Options
from .report import progress_line
from .session import SessionContext, print_progress, run_session
from .workers import Command, Workers

POLL_SECONDS = 0.5
RETIRE_SECONDS = 20.0
PROGRESS_SECONDS = 60.0
STUCK_SECONDS = 180.0
"""Time without any event, in addition to twenty leases, after which jobs that are still open are given up."""
FAILED_RUN_GAP = "GAP-20"
"""A worker's last run has failed. It does not count if that worker was killed afterwards."""


@dataclass(slots=True)
class Soak:
    """A running soak: `Soak(options, command).run()`."""

    options: Options
    command: Command
    figures: Figures = field(default_factory=Figures)
    seconds: float = 0.0
    postgres: str = ""
    size: int = 0

    def run(self) -> None:
        """Run it to its end. The results are in `figures`."""
        run_session("soak", self.options.keep, self.figures, self._run)

    async def _run(self, context: SessionContext) -> None:
        settings, server = self.options.settings, context.server
        random = Random(self.options.seed)  # noqa: S311 - no secret
        workers = Workers(self.command, server.url, settings, context.logs, self.options.workers, self.figures)
        workers.logs_stay = self.options.keep is not None
        workers.pauses = self.options.pauses
        async with AsyncCoreMachine(server.url, jobs=JOBS, settings=settings, install=True) as app:
            await self._describe_database(app)
            driver = Driver(app, context.side_effects, self.figures, random, self.options.quiet)
            chaos = Chaos(workers, server, app.database, self.figures, random)
            try:
                async with self._workers_maintained(chaos):
                    await self._work(driver, chaos)
                    await self._drain(driver)
                    await self._final_checks(app, driver)
                    await self._describe_database(app)
                await self._stop_workers(workers, chaos)
            finally:
                workers.kill_all()

    @asynccontextmanager
    async def _workers_maintained(self, chaos: Chaos) -> AsyncGenerator[None]:
        """Maintain the workers as long as the block lasts. If that fails, the soak fails."""
        maintaining = asyncio.create_task(chaos.maintain_workers())
        whole = asyncio.current_task()
        maintaining.add_done_callback(lambda task: None if task.cancelled() or whole is None else whole.cancel())
        try:
            yield
        except asyncio.CancelledError:
            if maintaining.done():
                maintaining.result()
            raise
        finally:
            maintaining.cancel()

    async def _work(self, driver: Driver, chaos: Chaos) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(chaos.kill_workers(self.options.kill_every))
            group.create_task(chaos.restart_server(self.options.restart_every))
            try:
                await self._drive(driver, began + 60 * self.options.minutes)
            finally:
                chaos.stopped.set()
                self.seconds = time.monotonic() - began

    async def _drive(self, driver: Driver, end: float) -> None:
        retired = reported = began = time.monotonic()
        while (now := time.monotonic()) < end:
            await driver.step(self.options.open_jobs)
            if now - retired >= RETIRE_SECONDS:
                await driver.retire()
                retired = now
            if now - reported >= PROGRESS_SECONDS:
                reported = now
                print_progress(progress_line(now - began, driver.open_jobs, driver.oldest, self.figures))
            await asyncio.sleep(POLL_SECONDS)

    async def _drain(self, driver: Driver) -> None:
        """Wait until every job has ended, or until no job has ended for a long time."""
        print_progress(f"no more jobs, kills and restarts; {driver.open_jobs} jobs are open")
        patience = STUCK_SECONDS + 20 * self.options.settings.lease
        left, since = len(driver.jobs), time.monotonic()
        while driver.jobs and time.monotonic() - since < patience:
            await driver.step(0)
            if len(driver.jobs) != left:
                left, since = len(driver.jobs), time.monotonic()
            await asyncio.sleep(POLL_SECONDS)

    async def _final_checks(self, app: AsyncCoreMachine, driver: Driver) -> None:
        """Report what has not ended, run the whole audit, and retire the checked jobs."""
        for job_id in driver.jobs:
            diagnosis = await app.why(job_id)
            log = (*diagnosis.waits_for, await app.timeline(job_id, everything=True))
            self.figures.add_violation(f"the job has not ended: {diagnosis.status}, {diagnosis.verdict}", job_id, log)
        for finding in await driver.findings():
            killed = finding.id == FAILED_RUN_GAP and all(
                example.subject.removeprefix("worker ") in self.figures.killed_at for example in finding.examples
            )
            if not killed:
                driver.report([finding])
        async with app.database.session() as session:
            (row,) = await session.fetch("soak/open_rows")
        for table in ("jobs", "stages", "tasks", "callbacks"):
            if row[table]:
                self.figures.add_violation(f"{row[table]} {table} have not ended")
        await driver.retire()

    async def _stop_workers(self, workers: Workers, chaos: Chaos) -> None:
        workers.stop()
        while not workers.gone:
            workers.maintain()
            await asyncio.sleep(POLL_SECONDS)
        chaos.check_orphans()

    async def _describe_database(self, app: AsyncCoreMachine) -> None:
        try:
            async with app.database.session() as session:
                (row,) = await session.fetch("soak/size")
        except CONNECTION_ERRORS:
            return
        self.postgres, self.size = row["version"], row["bytes"]

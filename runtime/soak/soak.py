"""One soak, from the first worker to the verdict."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ..app import AsyncCoreMachine
from .chaos import LOST, Chaos
from .driver import Driver
from .figures import Figures
from .fleet import Command, Fleet
from .jobs import JOBS
from .options import Options
from .report import progress_line
from .server import Server

LOOK_EVERY = 0.5
LET_GO_EVERY = 20.0
TELL_EVERY = 60.0
STUCK = 180.0
"""Seconds without any event, beside twenty leases, after which what is still open is given up."""
TRANSIENT = "GAP-20"
"""A worker's last run has failed: of no account where that worker was killed afterwards."""


@dataclass(slots=True)
class Soak:
    """A soak under way: `Soak(options, command).run()`."""

    options: Options
    command: Command
    figures: Figures = field(default_factory=Figures)
    seconds: float = 0.0
    postgres: str = ""
    size: int = 0

    def run(self) -> None:
        """Run it to its end; `figures` say what came of it."""
        place = Path(tempfile.mkdtemp(prefix="cm-soak-")).resolve()
        place.chmod(0o755)  # PostgreSQL may run as another account, and has a directory of its own in here
        try:
            asyncio.run(self._run(place, (self.options.keep or place).resolve()))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except Exception as error:  # noqa: BLE001 - an hour's figures are told, and the failure is the first of them
            self.figures.violate(f"the soak itself failed: {error}", log=tuple(traceback.format_exception(error)))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    async def _run(self, place: Path, kept: Path) -> None:
        whole = asyncio.current_task()
        if whole is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)
        effects, logs = kept / "effects", kept / "logs"
        for folder in (effects, logs):
            folder.mkdir(parents=True, exist_ok=True)
        random = Random(self.options.seed)  # noqa: S311 - no secret
        settings = self.options.settings
        server = await asyncio.to_thread(Server, place / "data")
        try:
            app = AsyncCoreMachine(server.url, jobs=JOBS, settings=settings, install=True)
            fleet = Fleet(self.command, server.url, settings, logs, self.options.workers, self.figures)
            fleet.logs_stay = self.options.keep is not None
            fleet.pauses = self.options.pauses
            async with app:
                await self._describe(app)
                driver = Driver(app, effects, self.figures, random, self.options.quiet)
                chaos = Chaos(fleet, server, app.database, self.figures, random)
                try:
                    async with self._fleet_kept(chaos):
                        await self._work(driver, chaos)
                        await self._drain(driver)
                        await self._last_look(app, driver)
                        await self._describe(app)
                    await self._stop_fleet(fleet, chaos)
                finally:
                    fleet.kill_all()
        finally:
            await asyncio.to_thread(server.stop)
            shutil.copyfile(server.log, logs / "postgresql.log")

    @asynccontextmanager
    async def _fleet_kept(self, chaos: Chaos) -> AsyncGenerator[None]:
        """Workers are kept at their number as long as the block lasts; where that fails, so does the soak."""
        keeping = asyncio.create_task(chaos.keep_fleet())
        whole = asyncio.current_task()
        keeping.add_done_callback(lambda task: None if task.cancelled() or whole is None else whole.cancel())
        try:
            yield
        except asyncio.CancelledError:
            if keeping.done():
                keeping.result()
            raise
        finally:
            keeping.cancel()

    async def _work(self, driver: Driver, chaos: Chaos) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as blows:
            blows.create_task(chaos.kill_workers(self.options.kill_every))
            blows.create_task(chaos.restart_server(self.options.restart_every))
            try:
                await self._look_again_and_again(driver, self.options.open_jobs, began + 60 * self.options.minutes)
            finally:
                chaos.stopped.set()
                self.seconds = time.monotonic() - began

    async def _look_again_and_again(self, driver: Driver, wanted: int, end: float) -> None:
        let_go = told = began = time.monotonic()
        while (now := time.monotonic()) < end:
            await driver.look(wanted)
            if now - let_go >= LET_GO_EVERY:
                await driver.let_go()
                let_go = now
            if now - told >= TELL_EVERY:
                told = now
                _say(progress_line(now - began, driver.open_jobs, driver.oldest, self.figures))
            await asyncio.sleep(LOOK_EVERY)

    async def _drain(self, driver: Driver) -> None:
        """Let everything end. Waits as long as jobs go on ending, and gives up when nothing does."""
        _say(f"no more jobs, kills and restarts; {driver.open_jobs} jobs are open")
        patience = STUCK + 20 * self.options.settings.lease
        left, since = len(driver.jobs), time.monotonic()
        while driver.jobs and time.monotonic() - since < patience:
            await driver.look(0)
            if len(driver.jobs) != left:
                left, since = len(driver.jobs), time.monotonic()
            await asyncio.sleep(LOOK_EVERY)

    async def _last_look(self, app: AsyncCoreMachine, driver: Driver) -> None:
        """Name what has not ended, audit what is left, and let it go."""
        for job_id in driver.jobs:
            why = await app.why(job_id)
            log = (*why.waits_for, await app.timeline(job_id, everything=True))
            self.figures.violate(f"the job has not come to its end: {why.status}, {why.verdict}", job_id, log)
        for finding in await driver.findings():
            killed = finding.id == TRANSIENT and all(
                example.subject.removeprefix("worker ") in self.figures.killed_at for example in finding.examples
            )
            if not killed:
                driver.found([finding])
        async with app.database.session() as session:
            (row,) = await session.fetch("soak/left_open")
        for table in ("jobs", "stages", "tasks", "callbacks"):
            if row[table]:
                self.figures.violate(f"{row[table]} {table} have not ended")
        await driver.let_go()

    async def _stop_fleet(self, fleet: Fleet, chaos: Chaos) -> None:
        fleet.stop()
        while not fleet.gone:
            fleet.keep()
            await asyncio.sleep(LOOK_EVERY)
        chaos.look_for_orphans()

    async def _describe(self, app: AsyncCoreMachine) -> None:
        try:
            async with app.database.session() as session:
                (row,) = await session.fetch("soak/size")
        except LOST:
            return
        self.postgres, self.size = row["version"], row["bytes"]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()

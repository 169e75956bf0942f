"""One storm, from the start of its workers to its report."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from coremachine import AsyncCoreMachine
from coremachine.runtime.soak.server import Server
from coremachine.runtime.soak.session import SessionContext, print_progress, run_session
from coremachine.runtime.soak.soak import FAILED_RUN_GAP
from tests.storm.driver import Driver
from tests.storm.faults import Faults
from tests.storm.figures import StormFigures
from tests.storm.jobs import JOBS
from tests.storm.options import Options
from tests.storm.proxy import Proxy
from tests.storm.workers import COMMAND, ProxiedWorkers

POLL_SECONDS = 0.5
MAINTAIN_SECONDS = 0.1
RETIRE_SECONDS = 20.0
PROGRESS_SECONDS = 60.0


@dataclass(slots=True)
class Storm:
    """A running storm: `Storm(options).run()`."""

    options: Options
    figures: StormFigures = field(default_factory=StormFigures)
    seconds: float = 0.0
    postgres: str = ""

    def run(self) -> None:
        """Run it to its end. The results are in `figures`."""
        run_session("storm", self.options.keep, self.figures, self._run)

    async def _run(self, context: SessionContext) -> None:
        server = context.server
        async with self._app(server) as app, Proxy(server.url) as proxy:
            workers = self._workers(proxy, context.logs)
            faults = Faults(workers, proxy, server, self.figures, self.options)
            try:
                await self._blow(app, workers, faults, context.side_effects)
            finally:
                workers.kill_all()

    def _app(self, server: Server) -> AsyncCoreMachine:
        return AsyncCoreMachine(server.url, jobs=JOBS, settings=self.options.settings, install=True)

    def _workers(self, proxy: Proxy, logs: Path) -> ProxiedWorkers:
        settings, number = self.options.settings, self.options.workers
        workers = ProxiedWorkers(COMMAND, "", settings, logs, number, self.figures, proxy=proxy)
        workers.logs_stay = self.options.keep is not None
        return workers

    async def _blow(self, app: AsyncCoreMachine, workers: ProxiedWorkers, faults: Faults, side_effects: Path) -> None:
        random = Random(self.options.seed)  # noqa: S311 - no secret
        driver = Driver(app, side_effects, self.figures, self.options, Random(random.getrandbits(64)))  # noqa: S311
        async with app.database.session() as session:
            (row,) = await session.fetch("soak/size")
        self.postgres = row["version"]
        async with asyncio.TaskGroup() as group:
            maintaining = group.create_task(_maintain(workers))
            blowing = group.create_task(faults.run(random))
            await self._work(driver, faults)
            faults.stopped.set()
            await blowing
            await self._drain(driver)
            await self._final_checks(driver, workers)
            maintaining.cancel()
        workers.stop()
        while not workers.gone:
            workers.maintain()
            await asyncio.sleep(MAINTAIN_SECONDS)

    async def _work(self, driver: Driver, faults: Faults) -> None:
        """Work until the time is up and each kind of fault has struck; twice the time at most."""
        began = retired = reported = time.monotonic()
        while (now := time.monotonic()) - began < self.options.seconds * (1 + faults.missing):
            await driver.step(self.options.open_jobs)
            if now - retired >= RETIRE_SECONDS:
                await driver.retire()
                retired = now
            if now - reported >= PROGRESS_SECONDS:
                reported = now
                print_progress(
                    f"{(now - began) / 60:5.1f} min  {self.figures.faults.total()} faults"
                    f"  {self.figures.submitted} jobs submitted, the oldest open for"
                    f" {max(driver.open_for.values(), default=0):.0f} s  {len(self.figures.violations)} violations"
                )
            await asyncio.sleep(POLL_SECONDS)
        self.seconds = time.monotonic() - began

    async def _drain(self, driver: Driver) -> None:
        """Wait until every job has ended. One that does not end within the limit is a violation."""
        print_progress(f"no more jobs and faults; {len(driver.open_for)} jobs are open")
        since = time.monotonic()
        while driver.jobs and time.monotonic() - since < self.options.limit + self.options.quiet:
            await driver.step(0)
            await asyncio.sleep(POLL_SECONDS)
        for job_id in driver.jobs:
            driver.add_violation("the job has not ended, although there were no more faults", job_id)

    async def _final_checks(self, driver: Driver, workers: ProxiedWorkers) -> None:
        """Run the whole audit. A failed run of a worker that has ended since does not count."""
        for finding in await driver.findings():
            alive = {str(worker.process.pid) for worker in workers.working}
            gone = all(alive.isdisjoint(example.subject.split("-")) for example in finding.examples)
            if finding.id != FAILED_RUN_GAP or not gone:
                await driver.report([finding])
        await driver.retire()


async def _maintain(workers: ProxiedWorkers) -> None:
    """Replace workers that have ended, and continue those whose pause is over. Runs until cancelled."""
    while True:
        workers.maintain()
        await asyncio.sleep(MAINTAIN_SECONDS)

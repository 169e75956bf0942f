"""One storm, from the first worker to the verdict."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from coremachine import AsyncCoreMachine
from coremachine.runtime.soak.server import Server
from coremachine.runtime.soak.soak import TRANSIENT
from tests.storm.driver import Driver
from tests.storm.faults import Faults
from tests.storm.figures import StormFigures
from tests.storm.jobs import JOBS
from tests.storm.options import Options
from tests.storm.proxy import Proxy
from tests.storm.workers import COMMAND, Workers

LOOK_EVERY = 0.5
KEEP_EVERY = 0.1
LET_GO_EVERY = 20.0
REPORT_EVERY = 60.0


@dataclass(slots=True)
class Storm:
    """A storm under way: `Storm(options).run()`."""

    options: Options
    figures: StormFigures = field(default_factory=StormFigures)
    seconds: float = 0.0
    postgres: str = ""

    def run(self) -> None:
        """Run it to its end; `figures` hold what came of it."""
        place = Path(tempfile.mkdtemp(prefix="cm-storm-")).resolve()
        place.chmod(0o755)  # PostgreSQL may run as another account, and has a directory of its own in here
        try:
            asyncio.run(self._run(place, (self.options.keep or place).resolve()))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except Exception as error:  # noqa: BLE001 - the figures are reported, and the failure is the first of them
            self.figures.violate(f"the storm itself failed: {error}", log=tuple(traceback.format_exception(error)))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    async def _run(self, place: Path, kept: Path) -> None:
        whole = asyncio.current_task()
        if whole is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)
        effects, logs = kept / "effects", kept / "logs"
        for folder in (effects, logs):
            folder.mkdir(parents=True, exist_ok=True)
        server = await asyncio.to_thread(Server, place / "data")
        try:
            async with self._app(server) as app, Proxy(server.url) as proxy:
                workers = self._workers(proxy, logs)
                try:
                    await self._blow(app, workers, Faults(workers, proxy, server, self.figures, self.options), effects)
                finally:
                    workers.kill_all()
        finally:
            await asyncio.to_thread(server.stop)
            shutil.copyfile(server.log, logs / "postgresql.log")

    def _app(self, server: Server) -> AsyncCoreMachine:
        return AsyncCoreMachine(server.url, jobs=JOBS, settings=self.options.settings, install=True)

    def _workers(self, proxy: Proxy, logs: Path) -> Workers:
        settings, number = self.options.settings, self.options.workers
        workers = Workers(COMMAND, "", settings, logs, number, self.figures, proxy=proxy)
        workers.logs_stay = self.options.keep is not None
        return workers

    async def _blow(self, app: AsyncCoreMachine, workers: Workers, faults: Faults, effects: Path) -> None:
        random = Random(self.options.seed)  # noqa: S311 - no secret
        driver = Driver(app, effects, self.figures, self.options, Random(random.getrandbits(64)))  # noqa: S311
        async with app.database.session() as session:
            (row,) = await session.fetch("soak/size")
        self.postgres = row["version"]
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(_keep(workers))
            blowing = group.create_task(faults.run(random))
            await self._work(driver, faults)
            faults.stopped.set()
            await blowing
            await self._drain(driver)
            await self._last_look(driver, workers)
            keeping.cancel()
        workers.stop()
        while not workers.gone:
            workers.keep()
            await asyncio.sleep(KEEP_EVERY)

    async def _work(self, driver: Driver, faults: Faults) -> None:
        """Work until the time is up and each kind of fault has struck; twice the time at most."""
        began = let_go = reported = time.monotonic()
        while (now := time.monotonic()) - began < self.options.seconds * (1 + faults.missing):
            await driver.look(self.options.open_jobs)
            if now - let_go >= LET_GO_EVERY:
                await driver.let_go()
                let_go = now
            if now - reported >= REPORT_EVERY:
                reported = now
                _say(
                    f"{(now - began) / 60:5.1f} min  {self.figures.faults.total()} faults"
                    f"  {self.figures.submitted} jobs submitted, the oldest open for"
                    f" {max(driver.open_for.values(), default=0):.0f} s  {len(self.figures.violations)} violations"
                )
            await asyncio.sleep(LOOK_EVERY)
        self.seconds = time.monotonic() - began

    async def _drain(self, driver: Driver) -> None:
        """Let everything end. A job that has not within the limit is a violation, named by `look` or here."""
        _say(f"no more jobs and faults; {len(driver.open_for)} jobs are open")
        since = time.monotonic()
        while driver.jobs and time.monotonic() - since < self.options.limit + self.options.quiet:
            await driver.look(0)
            await asyncio.sleep(LOOK_EVERY)
        for job_id in driver.jobs:
            driver.violate("the job has not come to its end, though there were no more faults", job_id)

    async def _last_look(self, driver: Driver, workers: Workers) -> None:
        """The whole audit. A failed run of a worker that has gone since is of no account."""
        for finding in await driver.findings():
            alive = {str(worker.process.pid) for worker in workers.working}
            gone = all(alive.isdisjoint(example.subject.split("-")) for example in finding.examples)
            if finding.id != TRANSIENT or not gone:
                await driver.found([finding])
        await driver.let_go()


async def _keep(workers: Workers) -> None:
    """Put a worker in the place of each that has ended, and let go on what has stood still. Until cancelled."""
    while True:
        workers.keep()
        await asyncio.sleep(KEEP_EVERY)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()

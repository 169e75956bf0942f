"""The faults: each kind strikes on its own, at random, with its own mean interval."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from signal import SIGKILL, SIGTERM

import psycopg

from coremachine.runtime.soak.chaos import CONNECTION_ERRORS
from coremachine.runtime.soak.server import Server
from tests.storm import options as kinds
from tests.storm.figures import StormFigures
from tests.storm.options import Options
from tests.storm.proxy import Link, Proxy
from tests.storm.workers import ProxiedWorkers

Fault = Callable[[Random], Awaitable[bool]]
RETRY_SECONDS = 0.2
EARLIEST, LATEST = 0.1, 0.6


class Faults:
    """Strikes until `stopped` is set. A fault that finds nothing to strike returns False, and is tried again soon."""

    def __init__(
        self, workers: ProxiedWorkers, proxy: Proxy, server: Server, figures: StormFigures, options: Options
    ) -> None:
        self._workers = workers
        self._proxy = proxy
        self._server = server
        self._figures = figures
        self._options = options
        self.stopped = asyncio.Event()

    @property
    def missing(self) -> bool:
        """Whether some kind has not struck yet."""
        return any(not self._figures.faults[kind] for kind in self._options.kinds)

    async def run(self, random: Random) -> None:
        """Let each kind of fault strike until `stopped` is set. Each has its own seed, drawn from `random`."""
        async with asyncio.TaskGroup() as group:
            for kind, fault in self._faults().items():
                own = Random(random.getrandbits(64))  # noqa: S311 - no secret
                if kind in self._options.kinds:
                    group.create_task(self._strike(kind, fault, own))

    def _faults(self) -> dict[str, Fault]:
        return {
            kinds.KILLED: self._kill,
            kinds.TERMINATED: self._terminate,
            kinds.STOPPED: self._stop,
            kinds.STOPPED_ALONE: self._stop_alone,
            kinds.CUT: self._cut,
            kinds.ONE_PAUSED: self._pause_one,
            kinds.TWO_PAUSED: self._pause_two,
            kinds.LEASES_PAUSED: self._pause_leases,
            kinds.BACKEND: self._end_backend,
            kinds.RESTARTED: self._restart,
        }

    async def _strike(self, kind: str, fault: Fault, random: Random) -> None:
        mean, whole = self._options.mean(kind), self._options.seconds
        # early enough, so that even a short storm has each kind once
        pause = min(random.expovariate(1 / mean), random.uniform(EARLIEST, LATEST) * whole)
        while not await self._stopped_within(pause):
            struck = await fault(random)
            self._figures.faults[kind] += struck
            pause = random.expovariate(1 / mean) if struck else RETRY_SECONDS

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait. Returns True if the storm has ended meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
        return self.stopped.is_set()

    async def _kill(self, random: Random) -> bool:
        if not self._workers.running:
            return False
        self._workers.end(random.choice(self._workers.running), SIGKILL)
        self._workers.maintain()  # the next one starts at once
        return True

    async def _terminate(self, random: Random) -> bool:
        if not self._workers.running:
            return False
        self._workers.end(random.choice(self._workers.running), SIGTERM)
        self._workers.maintain()
        return True

    async def _stop(self, random: Random) -> bool:
        return self._pause(random, alone=False)

    async def _stop_alone(self, random: Random) -> bool:
        return self._pause(random, alone=True)

    def _pause(self, random: Random, *, alone: bool) -> bool:
        if len(self._workers.running) < 2:  # else nobody would rescue the tasks of the stopped one
            return False
        self._workers.pause(random.choice(self._workers.running), self._options.pause, alone=alone)
        return True

    async def _cut(self, _: Random) -> bool:
        if not self._proxy.links:
            return False
        self._proxy.cut()
        return True

    async def _pause_one(self, random: Random) -> bool:
        links = self._flowing(1)
        return bool(links) and self._pause_links(random.choice([link for some in links for link in some]))

    async def _pause_two(self, random: Random) -> bool:
        links = self._flowing(2)
        return bool(links) and self._pause_links(*random.sample(random.choice(links), 2))

    async def _pause_leases(self, random: Random) -> bool:
        """A worker that cannot renew its leases or record outcomes, but still claims."""
        pairs = [(one, other) for some in self._flowing(2) for one in some for other in some if one is not other]
        renewing = [pair for pair in pairs if pair[0].renews_leases]
        return bool(renewing) and self._pause_links(*random.choice(renewing))

    def _flowing(self, number: int) -> list[list[Link]]:
        """The connections that are not paused, for each worker that has at least `number` of them."""
        flowing = [[link for link in port.links if not link.is_paused] for port in self._proxy.ports]
        return [links for links in flowing if len(links) >= number]

    def _pause_links(self, *links: Link) -> bool:
        for link in links:
            link.pause(self._options.connection_pause)
        return True

    async def _end_backend(self, random: Random) -> bool:
        known = [link for link in self._proxy.links if link.backend is not None]
        return bool(known) and await self._terminate_backend(random.choice(known))

    async def _terminate_backend(self, link: Link) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self._server.url, autocommit=True) as connection:
                cursor = await connection.execute("SELECT pg_terminate_backend(%s)", [link.backend])
                return await cursor.fetchone() == (True,)
        except CONNECTION_ERRORS:
            return False

    async def _restart(self, random: Random) -> bool:
        await self._server.end("immediate", random)
        await self._server.start()
        return True

"""PgQueuer: batches of 100, asyncpg. The fan-in is a counter by hand."""

import asyncio
import sys
import time

import asyncpg
import counter
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

BATCH = 100


async def pool() -> asyncpg.Pool:
    """A pool of connections."""
    return await asyncpg.create_pool(counter.DSN, min_size=2, max_size=10)


async def install() -> None:
    """Install PgQueuer and the counter."""
    counter.make()
    async with await pool() as connections:
        await Queries(AsyncpgPoolDriver(connections)).install()


async def work() -> None:
    """Be a worker."""
    async with await pool() as connections:
        queue = PgQueuer(AsyncpgPoolDriver(connections))

        @queue.entrypoint("plan")
        async def plan(job: Job) -> None:
            tasks = int(job.payload or b"0")
            payloads: list[bytes | None] = [str(item).encode() for item in range(tasks)]
            await queue.qm.queries.enqueue(["work"] * tasks, payloads, [0] * tasks)

        @queue.entrypoint("work")
        async def one(_job: Job) -> None:
            if await connections.fetchval(counter.COUNT) == 0:
                await queue.qm.queries.enqueue(["count"], [None], [0])

        @queue.entrypoint("count")
        async def end(_job: Job) -> None:
            await connections.execute(counter.END)

        await queue.run(batch_size=BATCH)


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    counter.begin(tasks)
    async with await pool() as connections:
        queries = Queries(AsyncpgPoolDriver(connections))
        began = time.time()
        await queries.enqueue(["plan"], [str(tasks).encode()], [0])
        counter.wait(began)


ROLES = {"install": install, "worker": work, "fan": lambda: fan(int(sys.argv[2]))}
asyncio.run(ROLES[sys.argv[1]]())

"""PgQueuer: batches of 100, asyncpg. The fan-in counter is written by hand."""

import asyncio
import sys

import asyncpg
import counter
import marks
import sigterm
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

BATCH = 100


async def pool() -> asyncpg.Pool:
    """A pool of connections."""
    return await asyncpg.create_pool(counter.DSN, min_size=2, max_size=10)


def payloads(tasks: int) -> list[bytes | None]:
    """The items, as PgQueuer carries them."""
    return [str(item).encode() for item in range(tasks)]


async def install() -> None:
    """Install PgQueuer and the counter."""
    counter.create()
    async with await pool() as connections:
        await Queries(AsyncpgPoolDriver(connections)).install()


async def work() -> None:
    """Run a worker."""
    async with await pool() as connections:
        queue = PgQueuer(AsyncpgPoolDriver(connections))

        @queue.entrypoint("plan")
        async def plan(job: Job) -> None:
            marks.planned()
            tasks = int(job.payload or b"0")
            await queue.qm.queries.enqueue(["work"] * tasks, payloads(tasks), [0] * tasks)

        @queue.entrypoint("work")
        async def one(job: Job) -> None:
            await marks.work_async(int(job.payload or b"0"))
            if await connections.fetchval(counter.COUNT) == 0:
                await queue.qm.queries.enqueue(["count"], [None], [0])

        @queue.entrypoint("alone")
        async def alone(job: Job) -> None:
            await marks.work_async(int(job.payload or b"0"))

        @queue.entrypoint("count")
        async def end(_job: Job) -> None:
            marks.ended()

        @queue.entrypoint("sample")
        async def sample(job: Job) -> None:
            marks.record_latency(int(job.payload or b"0"))

        running = asyncio.create_task(queue.run(batch_size=BATCH))
        await sigterm.wait()
        queue.shutdown.set()
        await running


async def submit(names: list[str], items: list[bytes | None]) -> None:
    """Enqueue tasks in one statement."""
    async with await pool() as connections:
        queries = Queries(AsyncpgPoolDriver(connections))
        marks.submitted()
        await queries.enqueue(names, items, [0] * len(names))


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    counter.begin(tasks)
    await submit(["plan"], [str(tasks).encode()])


async def flat(tasks: int) -> None:
    """Submit a flat queue."""
    await submit(["alone"] * tasks, payloads(tasks))


async def latency(samples: int) -> None:
    """Submit one task after another."""
    async with await pool() as connections:
        queries = Queries(AsyncpgPoolDriver(connections))
        for submitted_us in marks.samples(samples):
            await queries.enqueue("sample", str(submitted_us).encode())


ROLES = {
    "install": install,
    "worker": work,
    "fan": lambda: fan(int(sys.argv[2])),
    "flat": lambda: flat(int(sys.argv[2])),
    "latency": lambda: latency(int(sys.argv[2])),
}
asyncio.run(ROLES[sys.argv[1]]())

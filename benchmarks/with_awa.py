"""Awa: its Rust engine with async handlers in Python. The fan-in is a counter by hand."""

import asyncio
import sys
from dataclasses import dataclass

import asyncpg
import counter
import marks
import stop
from awa import AsyncClient


@dataclass
class Plan:
    """Fan out."""

    tasks: int


@dataclass
class Work:
    """One of many."""

    item: int


@dataclass
class Alone:
    """One of a queue that nobody waits for."""

    item: int


@dataclass
class Bell:
    """One that rings."""

    moment: int


@dataclass
class Count:
    """Fan in."""

    done: bool = True


async def install() -> None:
    """Install Awa and the counter, and let a worker start once: the first one chooses the storage.

    Where a job is there before, it stays with the older one, which cannot take many jobs in one COPY.
    """
    counter.make()
    client = AsyncClient(counter.DSN)
    await client.migrate()

    @client.task(Count, queue="jobs")
    async def end(_job: object) -> None:
        pass

    await client.start([("jobs", 1)])
    await client.shutdown()
    await client.close()


async def work() -> None:
    """Be a worker."""
    client = AsyncClient(counter.DSN)
    async with await asyncpg.create_pool(counter.DSN, min_size=2, max_size=10) as connections:

        @client.task(Plan, queue="jobs")
        async def plan(job: object) -> None:
            marks.planned()
            tasks: int = job.args.tasks
            await client.enqueue_many_copy([Work(item) for item in range(tasks)], queue="work")

        @client.task(Work, queue="work")
        async def one(job: object) -> None:
            await marks.work_async(job.args.item)
            if await connections.fetchval(counter.COUNT) == 0:
                await client.insert(Count(), queue="jobs")

        @client.task(Alone, queue="work")
        async def alone(job: object) -> None:
            await marks.work_async(job.args.item)

        @client.task(Bell, queue="jobs")
        async def bell(job: object) -> None:
            marks.ring(job.args.moment)

        @client.task(Count, queue="jobs")
        async def end(_job: object) -> None:
            marks.ended()

        await client.start([("jobs", 2), ("work", 50)])
        await stop.told()
        await client.shutdown()
        await client.close()


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    counter.begin(tasks)
    client = AsyncClient(counter.DSN)
    marks.submitted()
    await client.insert(Plan(tasks), queue="jobs")


async def flat(tasks: int) -> None:
    """Submit a queue that nobody waits for."""
    client = AsyncClient(counter.DSN)
    marks.submitted()
    await client.enqueue_many_copy([Alone(item) for item in range(tasks)], queue="work")


async def latency(samples: int) -> None:
    """Submit one task after another."""
    client = AsyncClient(counter.DSN)
    for moment in marks.samples(samples):
        await client.insert(Bell(moment), queue="jobs")


ROLES = {
    "install": install,
    "worker": work,
    "fan": lambda: fan(int(sys.argv[2])),
    "flat": lambda: flat(int(sys.argv[2])),
    "latency": lambda: latency(int(sys.argv[2])),
}
asyncio.run(ROLES[sys.argv[1]]())

"""Awa: its Rust engine with async handlers in Python. The fan-in counter is written by hand."""

import asyncio
import sys
from dataclasses import dataclass

import asyncpg
import counter
import marks
import sigterm
from awa import AsyncClient


@dataclass
class Plan:
    """Fan out."""

    tasks: int


@dataclass
class Work:
    """One task of many."""

    item: int


@dataclass
class Alone:
    """One task of the flat queue."""

    item: int


@dataclass
class Sample:
    """Record how long the task has waited."""

    submitted_us: int


@dataclass
class Count:
    """Fan in."""

    done: bool = True


async def install() -> None:
    """Install Awa and the counter, and start a worker once: the first worker chooses the storage.

    If a job exists before that, Awa keeps the older storage, which cannot insert many jobs with one COPY.
    """
    counter.create()
    client = AsyncClient(counter.DSN)
    await client.migrate()

    @client.task(Count, queue="jobs")
    async def end(_job: object) -> None:
        pass

    await client.start([("jobs", 1)])
    await client.shutdown()
    await client.close()


async def work() -> None:
    """Run a worker."""
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

        @client.task(Sample, queue="jobs")
        async def sample(job: object) -> None:
            marks.record_latency(job.args.submitted_us)

        @client.task(Count, queue="jobs")
        async def end(_job: object) -> None:
            marks.ended()

        await client.start([("jobs", 2), ("work", 50)])
        await sigterm.wait()
        await client.shutdown()
        await client.close()


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    counter.begin(tasks)
    client = AsyncClient(counter.DSN)
    marks.submitted()
    await client.insert(Plan(tasks), queue="jobs")


async def flat(tasks: int) -> None:
    """Submit a flat queue."""
    client = AsyncClient(counter.DSN)
    marks.submitted()
    await client.enqueue_many_copy([Alone(item) for item in range(tasks)], queue="work")


async def latency(samples: int) -> None:
    """Submit one task after another."""
    client = AsyncClient(counter.DSN)
    for submitted_us in marks.samples(samples):
        await client.insert(Sample(submitted_us), queue="jobs")


ROLES = {
    "install": install,
    "worker": work,
    "fan": lambda: fan(int(sys.argv[2])),
    "flat": lambda: flat(int(sys.argv[2])),
    "latency": lambda: latency(int(sys.argv[2])),
}
asyncio.run(ROLES[sys.argv[1]]())

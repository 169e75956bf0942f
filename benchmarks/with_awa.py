"""Awa: its Rust engine with async handlers in Python. The fan-in is a counter by hand."""

import asyncio
import sys
import time
from dataclasses import dataclass

import asyncpg
import counter
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
class Count:
    """Fan in."""

    done: bool = True


async def install() -> None:
    """Install Awa and the counter."""
    counter.make()
    await AsyncClient(counter.DSN).migrate()


async def work() -> None:
    """Be a worker."""
    client = AsyncClient(counter.DSN)
    async with await asyncpg.create_pool(counter.DSN, min_size=2, max_size=10) as connections:

        @client.task(Plan, queue="jobs")
        async def plan(job: object) -> None:
            tasks: int = job.args.tasks
            await client.enqueue_many_copy([Work(item) for item in range(tasks)], queue="work")

        @client.task(Work, queue="work")
        async def one(_job: object) -> None:
            if await connections.fetchval(counter.COUNT) == 0:
                await client.insert(Count(), queue="jobs")

        @client.task(Count, queue="jobs")
        async def end(_job: object) -> None:
            await connections.execute(counter.END)

        await client.start([("jobs", 2), ("work", 50)])
        await asyncio.Event().wait()


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    counter.begin(tasks)
    client = AsyncClient(counter.DSN)
    began = time.time()
    await client.insert(Plan(tasks), queue="jobs")
    counter.wait(began)


ROLES = {"install": install, "worker": work, "fan": lambda: fan(int(sys.argv[2]))}
asyncio.run(ROLES[sys.argv[1]]())

"""Procrastinate: async worker, 50 jobs at once. The fan-in is a counter by hand."""

import asyncio
import sys
import time

import counter
import procrastinate
import psycopg_pool

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=counter.DSN, max_size=10))
connections = psycopg_pool.AsyncConnectionPool(counter.DSN, open=False, max_size=10, kwargs={"autocommit": True})


@app.task(name="plan")
async def plan(tasks: int) -> None:
    """Fan out."""
    await one.batch_defer_async(*({"item": item} for item in range(tasks)))


@app.task(name="work")
async def one(item: int) -> None:  # noqa: ARG001 - a task that does nothing with it
    """One of many."""
    async with connections.connection() as connection:
        row = await (await connection.execute(counter.COUNT)).fetchone()
    if row is not None and row[0] == 0:
        await end.defer_async()


@app.task(name="count")
async def end() -> None:
    """Fan in."""
    async with connections.connection() as connection:
        await connection.execute(counter.END)


async def install() -> None:
    """Install Procrastinate and the counter."""
    counter.make()
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    """Be a worker."""
    async with app.open_async(), connections:
        await app.run_worker_async(concurrency=50, install_signal_handlers=False)


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1 and wait for its end."""
    counter.begin(tasks)
    async with app.open_async():
        began = time.time()
        await plan.defer_async(tasks=tasks)
        counter.wait(began)


ROLES = {"install": install, "worker": work, "fan": lambda: fan(int(sys.argv[2]))}
asyncio.run(ROLES[sys.argv[1]]())

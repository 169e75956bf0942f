"""Procrastinate: async worker, 50 concurrent jobs. By hand: the fan-in counter, and a task for stalled jobs."""

import asyncio
import sys

import counter
import marks
import procrastinate
import psycopg_pool

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=counter.DSN, max_size=10))
connections = psycopg_pool.AsyncConnectionPool(counter.DSN, open=False, max_size=10, kwargs={"autocommit": True})


@app.task(name="plan")
async def plan(tasks: int) -> None:
    """Fan out."""
    marks.planned()
    await one.batch_defer_async(*({"item": item} for item in range(tasks)))


@app.task(name="work")
async def one(item: int) -> None:
    """One task of many."""
    await marks.work_async(item)
    async with connections.connection() as connection:
        row = await (await connection.execute(counter.COUNT)).fetchone()
    if row is not None and row[0] == 0:
        await end.defer_async()


@app.task(name="alone")
async def alone(item: int) -> None:
    """One task of the flat queue."""
    await marks.work_async(item)


@app.task(name="sample")
async def sample(submitted_us: int) -> None:
    """Record how long the task has waited."""
    marks.record_latency(submitted_us)


@app.task(name="count")
async def end() -> None:
    """Fan in."""
    marks.ended()


@app.periodic(cron="* * * * *")
@app.task(name="rescue", queueing_lock="rescue")
async def rescue(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate passes it to every periodic task
    """Retry the jobs of stalled workers: Procrastinate finds them, but its user schedules the search."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)


async def install() -> None:
    """Install Procrastinate and the counter."""
    counter.create()
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def work() -> None:
    """Run a worker. It stops at SIGTERM."""
    async with app.open_async(), connections:
        await app.run_worker_async(concurrency=50)


async def fan(tasks: int) -> None:
    """Submit 1 → N → 1."""
    counter.begin(tasks)
    async with app.open_async():
        marks.submitted()
        await plan.defer_async(tasks=tasks)


async def flat(tasks: int) -> None:
    """Submit a flat queue."""
    async with app.open_async():
        marks.submitted()
        await alone.batch_defer_async(*({"item": item} for item in range(tasks)))


async def latency(samples: int) -> None:
    """Submit one task after another."""
    async with app.open_async():
        for submitted_us in marks.samples(samples):
            await sample.defer_async(submitted_us=submitted_us)


ROLES = {
    "install": install,
    "worker": work,
    "fan": lambda: fan(int(sys.argv[2])),
    "flat": lambda: flat(int(sys.argv[2])),
    "latency": lambda: latency(int(sys.argv[2])),
}
asyncio.run(ROLES[sys.argv[1]]())

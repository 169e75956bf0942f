"""CoreMachine, in a program of the same shape as its peers: the command line's worker, and handlers that do nothing."""

import asyncio
import os
import sys
from uuid import uuid4

import marks

from coremachine import AsyncCoreMachine, Job, Stage, task

DSN = os.environ["BENCH_DSN"]


@task
def plan(tasks: int) -> list[int]:
    """Fan out."""
    marks.planned()
    return list(range(tasks))


@task
def one(item: int) -> int:
    """One of many."""
    marks.work(item)
    return item


@task
def end(results: list[int]) -> int:
    """Fan in."""
    marks.ended()
    return len(results)


@task
def alone(item: int) -> int:
    """One of a queue that nobody waits for."""
    marks.work(item)
    return item


@task
def bell(moment: int) -> None:
    """One that rings."""
    marks.ring(moment)


def items(tasks: int) -> list[int]:
    """The items of the flat queue."""
    return list(range(tasks))


FAN = Job("peers_fan", [Stage("plan", plan), Stage("work", one, each="plan"), Stage("count", end, gather="work")])
FLAT = Job("peers_flat", [Stage("work", alone, each=items)])
BELL = Job("peers_bell", [Stage("ring", bell)])
JOBS = {"fan": FAN, "flat": FLAT, "latency": BELL}


async def install() -> None:
    """Install the schema, which opening does."""
    async with AsyncCoreMachine(DSN, jobs=JOBS.values(), install=True):
        pass


async def submit(job: Job, tasks: int) -> None:
    """Submit a job."""
    async with AsyncCoreMachine(DSN, jobs=JOBS.values()) as app:
        marks.submitted()
        await app.submit(job, key=uuid4().hex, tasks=tasks)


async def latency(samples: int) -> None:
    """Submit one job after another, each of one task."""
    async with AsyncCoreMachine(DSN, jobs=JOBS.values()) as app:
        for moment in marks.samples(samples):
            await app.submit(BELL, key=uuid4().hex, moment=moment)


def main() -> None:
    """Do what the command line says."""
    role = sys.argv[1]
    if role == "worker":
        command = [sys.executable, "-m", "coremachine", "worker", "--app", "with_coremachine", "--log-level", "warning"]
        os.execve(sys.executable, command, {**os.environ, "COREMACHINE_URL": DSN})  # noqa: S606 - it is this very Python
    elif role == "install":
        asyncio.run(install())
    elif role == "latency":
        asyncio.run(latency(int(sys.argv[2])))
    else:
        asyncio.run(submit(JOBS[role], int(sys.argv[2])))


if __name__ == "__main__":
    main()

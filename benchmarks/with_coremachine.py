"""CoreMachine in a program like those of its peers: the command line's worker, and handlers that do nothing."""

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
    """One task of many."""
    marks.work(item)
    return item


@task
def end(results: list[int]) -> int:
    """Fan in."""
    marks.ended()
    return len(results)


@task
def alone(item: int) -> int:
    """One task of the flat queue."""
    marks.work(item)
    return item


@task
def sample(submitted_us: int) -> None:
    """Record how long the task has waited."""
    marks.record_latency(submitted_us)


def items(tasks: int) -> list[int]:
    """The items of the flat queue."""
    return list(range(tasks))


FAN = Job("peers_fan", [Stage("plan", plan), Stage("work", one, each="plan"), Stage("count", end, gather="work")])
FLAT = Job("peers_flat", [Stage("work", alone, each=items)])
SAMPLE = Job("peers_sample", [Stage("sample", sample)])
JOBS = {"fan": FAN, "flat": FLAT, "latency": SAMPLE}


async def install() -> None:
    """Install the schema by opening the application."""
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
        for submitted_us in marks.samples(samples):
            await app.submit(SAMPLE, key=uuid4().hex, submitted_us=submitted_us)


def main() -> None:
    """Run the role that the command line names."""
    role = sys.argv[1]
    if role == "worker":
        command = [sys.executable, "-m", "coremachine", "worker", "--app", "with_coremachine", "--log-level", "warning"]
        os.execve(sys.executable, command, {**os.environ, "COREMACHINE_URL": DSN})  # noqa: S606 - this same Python
    elif role == "install":
        asyncio.run(install())
    elif role == "latency":
        asyncio.run(latency(int(sys.argv[2])))
    else:
        asyncio.run(submit(JOBS[role], int(sys.argv[2])))


if __name__ == "__main__":
    main()

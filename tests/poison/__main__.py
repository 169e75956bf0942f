"""Prints the times: each kind in turn with a sound database, the ratio of neighbours, and the medians.

python -m tests.poison --rounds 5
"""

import argparse
import asyncio
import sys
import time
from statistics import median
from uuid import uuid4

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from tests.databases import Created, install, served, url_of
from tests.poison.kinds import KINDS, Poison, nothing
from tests.post_office import PostOffice
from tests.running import working
from tests.waiting import until_status

JOBS = 100


@task
def one(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


SUMS = Job("sums", [Stage("each", one, each="numbers"), Stage("sum", total, gather="each")])


async def seconds_of(url: str, poison: Poison, *, broker: bool) -> float:
    """How long a hundred jobs take while a worker runs, from the first submission to the last end."""
    office = PostOffice()
    settings = Settings(poll=0.2, reconcile=1.0, lease=3.0, concurrency=8)
    async with AsyncCoreMachine(url, jobs=[SUMS], settings=settings, bus=office if broker else None) as app:
        async with working(app):
            ended = await app.submit(SUMS, key="ended", numbers=[1])
            await until_status(app, ended.id, "completed")
        waiting = await app.submit(SUMS, key="waiting", numbers=[1])
        await poison(app, office, ended.id, waiting.id)
        async with working(app):
            began = time.monotonic()
            jobs = [await app.submit(SUMS, key=str(number), numbers=[1, 2, 3]) for number in range(JOBS)]
            for job in jobs:
                await until_status(app, job.id, "completed", within=120)
            return time.monotonic() - began


def measure(server: str, poison: Poison, *, broker: bool) -> float:
    """The same in a new database."""
    name = f"poison_{uuid4().hex[:12]}"
    with Created(server, name, None):
        url = url_of(server, name)
        asyncio.run(install(url))
        return asyncio.run(seconds_of(url, poison, broker=broker))


def main() -> None:
    """Measure each kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.poison", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    write = sys.stdout.write
    write(
        f"| beside | {JOBS} jobs, s | sound database, s | median of ratios | lowest, highest |\n|---|---|---|---|---|\n"
    )
    with served(None) as server:
        for name, poison in KINDS.items():
            broker = "dead letter" in name
            pairs = [
                (measure(server, poison, broker=broker), measure(server, nothing, broker=broker)) for _ in range(rounds)
            ]
            ratios = [bad / sound for bad, sound in pairs]
            bad, sound = (median(column) for column in zip(*pairs, strict=True))
            spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
            write(f"| {name} | {bad:.2f} | {sound:.2f} | {median(ratios):.2f} | {spread} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

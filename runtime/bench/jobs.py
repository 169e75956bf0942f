"""The jobs that are measured. Their handlers do nothing, so that only the cost of the machine is left."""

import time

from ...statemachine.job import Job
from ...statemachine.stage import Stage
from ...statemachine.task import task


@task(name="bench_plan")
def plan(n: int) -> list[int]:
    """The items of the fan-out."""
    return list(range(n))


@task(name="bench_work")
def work(item: int) -> int:
    """One task of many."""
    return item


@task(name="bench_count")
def count(results: list[int]) -> int:
    """The fan-in."""
    return len(results)


@task(name="bench_flat_work")
def flat_work(item: int) -> int:
    """One task of the flat queue."""
    return item


@task(name="bench_start")
def start() -> float:
    """The time at which the handler ran, by the machine's clock."""
    return time.time()


def numbers(n: int) -> list[int]:
    """The items of the flat queue."""
    return list(range(n))


FAN = Job("bench_fan", [Stage("plan", plan), Stage("work", work, each="plan"), Stage("count", count, gather="work")])
FLAT = Job("bench_flat", [Stage("work", flat_work, each=numbers)])
START = Job("bench_start", [Stage("start", start)])
JOBS = (FAN, FLAT, START)

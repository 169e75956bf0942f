"""The jobs of the storm. `seed` is the job's own, `file` receives the lines of its handlers.

Worker processes import this module by its name. A task never fails because workers were lost: in a storm that is not
the fault of the task.
"""

import asyncio

from coremachine import Job, Stage, TaskContext, task
from coremachine.statemachine.retry import Backoff
from tests.storm.plan import BEHAVIOURS, PlannedError, fails, numbers, seconds, value
from tests.storm.side_effects import record_line

BACKOFF = Backoff(first=0.1, most=1.0)
MOST_RESCUES = 10_000


def run_as_planned(seed: int, file: str, context: TaskContext) -> None:
    """The body of every handler in a thread."""
    record_line(file, "begin", str(seed), context)
    context.wait(seconds(seed, context.stage, context.index, context.attempt))
    _end_as_planned(seed, file, context)


async def run_as_planned_async(seed: int, file: str, context: TaskContext) -> None:
    """The same for an async handler."""
    record_line(file, "begin", str(seed), context)
    await asyncio.sleep(seconds(seed, context.stage, context.index, context.attempt))
    _end_as_planned(seed, file, context)


def _end_as_planned(seed: int, file: str, context: TaskContext) -> None:
    context.raise_if_cancelled()
    if fails(seed, context.stage, context.index, context.attempt):
        raise PlannedError(f"attempt {context.attempt} of {context.stage} {context.index}")
    record_line(file, "end", str(seed), context)


@task(retries=BEHAVIOURS["plan"].attempts - 1, backoff=BACKOFF, max_rescues=MOST_RESCUES)
def storm_plan(seed: int, file: str, context: TaskContext) -> list[int]:
    """Return the numbers to work on."""
    run_as_planned(seed, file, context)
    return numbers(seed)


@task(retries=BEHAVIOURS["work"].attempts - 1, backoff=BACKOFF, max_rescues=MOST_RESCUES)
def storm_work(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Work on a number, in a thread."""
    run_as_planned(seed, file, context)
    return value(context.stage, number)


@task(retries=BEHAVIOURS["second"].attempts - 1, backoff=BACKOFF, max_rescues=MOST_RESCUES)
async def storm_work_async(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Work on a number, on the event loop."""
    await run_as_planned_async(seed, file, context)
    return value(context.stage, number)


@task(max_rescues=MOST_RESCUES)
def storm_part(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Work on a number, at the first attempt or never."""
    run_as_planned(seed, file, context)
    return value(context.stage, number)


@task(retries=BEHAVIOURS["collect"].attempts - 1, backoff=BACKOFF, max_rescues=MOST_RESCUES)
def storm_collect(found: list[int], seed: int, file: str, context: TaskContext) -> list[int]:
    """Return every result, in order."""
    run_as_planned(seed, file, context)
    return found


GATHER = Job(
    "storm_gather",
    [
        Stage("plan", storm_plan),
        Stage("work", storm_work, each="plan", policy="finish_siblings"),
        Stage("collect", storm_collect, gather="work"),
    ],
)
TWICE = Job(
    "storm_twice",
    [
        Stage("first", storm_work, each="numbers", policy="finish_siblings"),
        Stage("second", storm_work_async, each="first"),
        Stage("merge", storm_collect, gather="second"),
    ],
)
FAST = Job("storm_fast", [Stage("part", storm_part, each="numbers"), Stage("all", storm_collect, gather="part")])

JOBS = (GATHER, TWICE, FAST)


def parameters_of(job: Job, seed: int, file: str) -> dict[str, object]:
    """The parameters of the job with this seed."""
    parameters: dict[str, object] = {"seed": seed, "file": file}
    return parameters if job is GATHER else parameters | {"numbers": numbers(seed)}

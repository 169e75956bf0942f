"""The jobs of the soak. Each handler says that it has begun, takes its time, and ends as the plan says.

`seed` is the job's own, `file` takes its lines. Worker processes import this module by its name.
"""

import asyncio
import os
from pathlib import Path

from ...statemachine.context import TaskContext
from ...statemachine.job import Job
from ...statemachine.retry import Backoff
from ...statemachine.stage import Stage
from ...statemachine.task import task
from .effects import leave_line, lines_of
from .plan import HABITS, TIMEOUT, PlannedError, callback_failures, ending, fan_out_fails, finalizer_fails
from .plan import numbers as planned_numbers
from .plan import seconds as planned_seconds

SOON = Backoff(first=0.1, most=1.0)
HANGS = 600.0
DIES = 9


def retry_until_available(seed: int, file: str, context: TaskContext) -> None:
    """What every handler does, in a thread or in a process."""
    leave_line(file, "start", context)
    context.wait(planned_seconds(seed, context.stage, context.index, context.attempt))
    context.raise_if_cancelled()
    _end_as_planned(seed, file, context)


async def endure_on_the_loop(seed: int, file: str, context: TaskContext) -> None:
    """The same for an async handler."""
    leave_line(file, "start", context)
    await asyncio.sleep(planned_seconds(seed, context.stage, context.index, context.attempt))
    context.raise_if_cancelled()
    _end_as_planned(seed, file, context)


def _end_as_planned(seed: int, file: str, context: TaskContext) -> None:
    match ending(seed, context.stage, context.index, context.attempt):
        case "fail":
            raise PlannedError(f"attempt {context.attempt} of {context.stage} {context.index}")
        case "hang":
            context.wait(HANGS)
            context.raise_if_cancelled()
        case "die":
            os._exit(DIES)
        case "succeed":
            leave_line(file, "effect", context)


@task(retries=HABITS["plan"].attempts - 1, backoff=SOON)
def soak_plan(seed: int, file: str, context: TaskContext) -> list[int]:
    """Answer with the numbers to work on."""
    retry_until_available(seed, file, context)
    return planned_numbers(seed)


@task(retries=HABITS["work"].attempts - 1, backoff=SOON)
def soak_work(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Treble a number."""
    retry_until_available(seed, file, context)
    return 3 * number


@task(retries=HABITS["collect"].attempts - 1, backoff=SOON)
def soak_collect(found: list[int], seed: int, file: str, context: TaskContext) -> list[int]:
    """Answer with every result, in order."""
    retry_until_available(seed, file, context)
    return found


@task
def soak_sibling(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Treble a number, at the first attempt or never."""
    retry_until_available(seed, file, context)
    return 3 * number


@task(retries=HABITS["settle"].attempts - 1, backoff=SOON)
def soak_settle(found: list[int], seed: int, file: str, context: TaskContext) -> list[int]:
    """Answer with every result, in order."""
    retry_until_available(seed, file, context)
    return found


@task(retries=HABITS["child"].attempts - 1, backoff=SOON, process=True, timeout=TIMEOUT)
def soak_child(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Treble a number in a process of its own, which may hang or die."""
    retry_until_available(seed, file, context)
    return 3 * number


@task
def soak_sum(found: list[int], seed: int, file: str, context: TaskContext) -> int:
    """Add the numbers up."""
    retry_until_available(seed, file, context)
    return sum(found)


@task(retries=HABITS["begin"].attempts - 1, backoff=SOON)
async def soak_begin(seed: int, file: str, context: TaskContext) -> list[int]:
    """Answer with the numbers to work on."""
    await endure_on_the_loop(seed, file, context)
    return planned_numbers(seed)


@task(retries=HABITS["wave"].attempts - 1, backoff=SOON)
async def soak_wave(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Treble a number on the loop."""
    await endure_on_the_loop(seed, file, context)
    return 3 * number


@task(retries=HABITS["first"].attempts - 1, backoff=SOON, timeout=TIMEOUT)
def soak_first(seed: int, file: str, context: TaskContext) -> int:
    """Take seconds, and hang at times."""
    retry_until_available(seed, file, context)
    return len(planned_numbers(seed))


@task(retries=HABITS["second"].attempts - 1, backoff=SOON)
def soak_second(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Take seconds again."""
    retry_until_available(seed, file, context)
    return number + 1


def spread(seed: int, file: str) -> list[int]:
    """The fan-out function: raises for some jobs, and has no items for others."""
    leave_line(file, "spread")
    if fan_out_fails(seed):
        raise PlannedError("the fan-out")
    return planned_numbers(seed)


def total(found: list[int], seed: int, file: str) -> dict[str, int]:
    """The finalizer, which fails for some jobs."""
    leave_line(file, "finalize")
    if finalizer_fails(seed):
        raise PlannedError("the finalizer")
    return {"total": sum(found)}


def tell(seed: int, file: str) -> None:
    """The callback, whose first calls may fail."""
    leave_line(file, "callback-start")
    if sum(line.what == "callback-start" for line in lines_of(Path(file))) <= callback_failures(seed):
        raise PlannedError("the callback")
    leave_line(file, "callback-effect")


async def tell_on_the_loop(seed: int, file: str) -> None:
    """The same as an async function."""
    tell(seed, file)


FAN = Job(
    "soak_fan",
    [Stage("plan", soak_plan), Stage("work", soak_work, each="plan"), Stage("collect", soak_collect, gather="work")],
    finalize=total,
    on_job_complete=tell,
    callback_backoff=SOON,
)
SIBLINGS = Job(
    "soak_siblings",
    [
        Stage("sibling", soak_sibling, each=spread, policy="finish_siblings", at_least=1),
        Stage("settle", soak_settle, gather="sibling"),
    ],
    finalize=total,
    finalize_required=True,
)
CHILDREN = Job(
    "soak_children",
    [Stage("child", soak_child, each="numbers"), Stage("sum", soak_sum, gather="child")],
)
WAVES = Job(
    "soak_waves",
    [Stage("begin", soak_begin), Stage("wave", soak_wave, each="begin")],
    on_job_complete=tell_on_the_loop,
    callback_backoff=SOON,
)
SLOW = Job("soak_slow", [Stage("first", soak_first), Stage("second", soak_second, takes="first")])

JOBS = (FAN, SIBLINGS, CHILDREN, WAVES, SLOW)


def parameters_of(job: Job, seed: int, file: str) -> dict[str, object]:
    """What a job of this seed is submitted with."""
    parameters: dict[str, object] = {"seed": seed, "file": file}
    if job is CHILDREN:
        parameters["numbers"] = planned_numbers(seed)
    return parameters


def expected_result(job_type: str, seed: int) -> object:
    """The result of a job that completes, whatever happened on the way."""
    trebled = [3 * number for number in planned_numbers(seed)]
    match job_type:
        case FAN.name:
            return trebled if finalizer_fails(seed) else {"total": sum(trebled)}
        case SIBLINGS.name:
            return {"total": sum(trebled)}
        case CHILDREN.name:
            return sum(trebled)
        case WAVES.name:
            return {"results": len(trebled)}
        case _:
            return len(trebled) + 1

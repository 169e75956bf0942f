"""The jobs of the soak. Each handler records that it has started, takes some time, and ends as planned.

`seed` is the job's own, `file` receives its lines. Worker processes import this module by its name.
"""

import asyncio
import os
from pathlib import Path

from ...statemachine.context import TaskContext
from ...statemachine.job import Job
from ...statemachine.retry import Backoff
from ...statemachine.stage import Stage
from ...statemachine.task import task
from .plan import (
    BEHAVIOURS,
    TIMEOUT,
    PlannedError,
    callback_failures,
    fan_out_fails,
    finalizer_fails,
    planned_outcome,
)
from .plan import numbers as planned_numbers
from .plan import seconds as planned_seconds
from .side_effects import read_lines, record_line

BACKOFF = Backoff(first=0.1, most=1.0)
HANG_SECONDS = 600.0
DEATH_EXIT_CODE = 9


def run_as_planned(seed: int, file: str, context: TaskContext) -> None:
    """The body of every handler in a thread or in a process."""
    record_line(file, "start", context)
    context.wait(planned_seconds(seed, context.stage, context.index, context.attempt))
    context.raise_if_cancelled()
    _end_as_planned(seed, file, context)


async def run_as_planned_async(seed: int, file: str, context: TaskContext) -> None:
    """The same for an async handler."""
    record_line(file, "start", context)
    await asyncio.sleep(planned_seconds(seed, context.stage, context.index, context.attempt))
    context.raise_if_cancelled()
    _end_as_planned(seed, file, context)


def _end_as_planned(seed: int, file: str, context: TaskContext) -> None:
    match planned_outcome(seed, context.stage, context.index, context.attempt):
        case "fail":
            raise PlannedError(f"attempt {context.attempt} of {context.stage} {context.index}")
        case "hang":
            context.wait(HANG_SECONDS)
            context.raise_if_cancelled()
        case "die":
            os._exit(DEATH_EXIT_CODE)
        case "succeed":
            record_line(file, "effect", context)


@task(retries=BEHAVIOURS["plan"].attempts - 1, backoff=BACKOFF)
def soak_plan(seed: int, file: str, context: TaskContext) -> list[int]:
    """Return the numbers to work on."""
    run_as_planned(seed, file, context)
    return planned_numbers(seed)


@task(retries=BEHAVIOURS["work"].attempts - 1, backoff=BACKOFF)
def soak_work(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Triple a number."""
    run_as_planned(seed, file, context)
    return 3 * number


@task(retries=BEHAVIOURS["collect"].attempts - 1, backoff=BACKOFF)
def soak_collect(found: list[int], seed: int, file: str, context: TaskContext) -> list[int]:
    """Return every result, in order."""
    run_as_planned(seed, file, context)
    return found


@task
def soak_sibling(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Triple a number, at the first attempt or never."""
    run_as_planned(seed, file, context)
    return 3 * number


@task(retries=BEHAVIOURS["settle"].attempts - 1, backoff=BACKOFF)
def soak_settle(found: list[int], seed: int, file: str, context: TaskContext) -> list[int]:
    """Return every result, in order."""
    run_as_planned(seed, file, context)
    return found


@task(retries=BEHAVIOURS["child"].attempts - 1, backoff=BACKOFF, process=True, timeout=TIMEOUT)
def soak_child(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Triple a number in a child process, which may hang or die."""
    run_as_planned(seed, file, context)
    return 3 * number


@task
def soak_sum(found: list[int], seed: int, file: str, context: TaskContext) -> int:
    """Add the numbers up."""
    run_as_planned(seed, file, context)
    return sum(found)


@task(retries=BEHAVIOURS["begin"].attempts - 1, backoff=BACKOFF)
async def soak_begin(seed: int, file: str, context: TaskContext) -> list[int]:
    """Return the numbers to work on."""
    await run_as_planned_async(seed, file, context)
    return planned_numbers(seed)


@task(retries=BEHAVIOURS["wave"].attempts - 1, backoff=BACKOFF)
async def soak_wave(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Triple a number on the event loop."""
    await run_as_planned_async(seed, file, context)
    return 3 * number


@task(retries=BEHAVIOURS["first"].attempts - 1, backoff=BACKOFF, timeout=TIMEOUT)
def soak_first(seed: int, file: str, context: TaskContext) -> int:
    """Take some seconds, and sometimes hang."""
    run_as_planned(seed, file, context)
    return len(planned_numbers(seed))


@task(retries=BEHAVIOURS["second"].attempts - 1, backoff=BACKOFF)
def soak_second(number: int, seed: int, file: str, context: TaskContext) -> int:
    """Take some seconds more."""
    run_as_planned(seed, file, context)
    return number + 1


def spread(seed: int, file: str) -> list[int]:
    """The fan-out function: raises for some jobs, and has no items for others."""
    record_line(file, "spread")
    if fan_out_fails(seed):
        raise PlannedError("the fan-out")
    return planned_numbers(seed)


def total(found: list[int], seed: int, file: str) -> dict[str, int]:
    """The finalizer, which fails for some jobs."""
    record_line(file, "finalize")
    if finalizer_fails(seed):
        raise PlannedError("the finalizer")
    return {"total": sum(found)}


def callback(seed: int, file: str) -> None:
    """The callback, whose first calls may fail."""
    record_line(file, "callback-start")
    if sum(line.what == "callback-start" for line in read_lines(Path(file))) <= callback_failures(seed):
        raise PlannedError("the callback")
    record_line(file, "callback-effect")


async def callback_async(seed: int, file: str) -> None:
    """The same as an async function."""
    callback(seed, file)


FAN = Job(
    "soak_fan",
    [Stage("plan", soak_plan), Stage("work", soak_work, each="plan"), Stage("collect", soak_collect, gather="work")],
    finalize=total,
    on_job_complete=callback,
    callback_backoff=BACKOFF,
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
    on_job_complete=callback_async,
    callback_backoff=BACKOFF,
)
SLOW = Job("soak_slow", [Stage("first", soak_first), Stage("second", soak_second, takes="first")])

JOBS = (FAN, SIBLINGS, CHILDREN, WAVES, SLOW)


def parameters_of(job: Job, seed: int, file: str) -> dict[str, object]:
    """The parameters of the job with this seed."""
    parameters: dict[str, object] = {"seed": seed, "file": file}
    if job is CHILDREN:
        parameters["numbers"] = planned_numbers(seed)
    return parameters


def expected_result(job_type: str, seed: int) -> object:
    """The result of a job that completes, whatever happened before."""
    tripled = [3 * number for number in planned_numbers(seed)]
    match job_type:
        case FAN.name:
            return tripled if finalizer_fails(seed) else {"total": sum(tripled)}
        case SIBLINGS.name:
            return {"total": sum(tripled)}
        case CHILDREN.name:
            return sum(tripled)
        case WAVES.name:
            return {"results": len(tripled)}
        case _:
            return len(tripled) + 1

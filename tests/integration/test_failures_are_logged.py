"""A worker's log tells of what failed: attempts, jobs and callbacks, a line each; and nothing of what went well."""

import asyncio
import logging
from typing import NoReturn

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.running import finished, working
from tests.waiting import until_event

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)


@task
def count_up(n: int) -> list[int]:
    return list(range(n))


@task(retries=1, backoff=AT_ONCE)
def refuse(number: int) -> NoReturn:
    raise ValueError(f"{number} is\ntoo " + "much " * 1000)


@task
async def hang(started: int) -> None:
    await asyncio.Event().wait()
    assert started


def plan(n: int) -> NoReturn:
    raise KeyError(f"plan {n}")


def finish(numbers: list[int]) -> NoReturn:
    raise ArithmeticError(f"no mean of {numbers}")


async def refuse_thanks(job_id: str) -> NoReturn:
    raise ConnectionError(f"nobody to thank for {job_id[:3]}")


COUNT = Job("count", [Stage("count", count_up)])
FAILING = Job("failing", [Stage("count", count_up), Stage("refuse", refuse, each="count", policy="finish_siblings")])
HANGING = Job("hanging", [Stage("hang", hang)])
UNPLANNED = Job("unplanned", [Stage("count", count_up, each=plan)])
UNFINISHED = Job("unfinished", [Stage("count", count_up)], finalize=finish, finalize_required=True)
UNTHANKED = Job(
    "unthanked",
    [Stage("count", count_up)],
    on_job_complete=refuse_thanks,
    callback_retries=1,
    callback_backoff=AT_ONCE,
)


@pytest.fixture(autouse=True)
def hear_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="coremachine.flow")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of failures, without the ends of long lines."""
    lines = [record for record in caplog.records if record.name == "coremachine.flow"]
    assert all(len(line.getMessage()) < 600 and "\n" not in line.getMessage() for line in lines)
    return [f"{line.levelname} {line.getMessage()[:180]}" for line in lines]


async def test_a_retry_a_failed_task_and_its_job_are_a_line_each(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = await open_app(FAILING, poll=0.05)
    job = (await finished(app, FAILING, n=1))["job_id"][:12]
    retried, failed, ended = told(caplog)
    named = f"job='{job}' task=2 type='refuse'"
    assert retried.startswith(f"WARNING a task failed, and is tried again {named} attempt='1 of 2' delay_s=0.01 error=")
    assert failed.startswith(f"WARNING a task failed {named} attempt='2 of 2' error='ValueError: 0 is too much much")
    assert ended.startswith(f"ERROR a job failed job='{job}' why='stage 2 (refuse) failed' error='ValueError: 0 is")


async def test_what_goes_well_is_not_told(open_app: OpenApp, caplog: pytest.LogCaptureFixture) -> None:
    app = await open_app(COUNT)
    await finished(app, COUNT, n=3)
    assert told(caplog) == []


async def test_a_job_that_fails_between_its_tasks_is_told(open_app: OpenApp, caplog: pytest.LogCaptureFixture) -> None:
    app = await open_app(UNPLANNED, UNFINISHED)
    unplanned = (await finished(app, UNPLANNED, n=1))["job_id"][:12]
    unfinished = (await finished(app, UNFINISHED, n=2))["job_id"][:12]
    first, second = told(caplog)
    assert first == f"ERROR a job failed job='{unplanned}' why='stage 1 (count) failed' error=\"KeyError: 'plan 1'\""
    why = "why='its finalizer failed' error='ArithmeticError: no mean of [0, 1]'"
    assert second == f"ERROR a job failed job='{unfinished}' {why}"


async def test_the_worker_that_ends_a_cancelled_job_tells_its_reason(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = await open_app(HANGING, grace=0.0)
    async with working(app):
        job = await app.submit(HANGING, started=1)
        await until_event(app, job.id, "task_started")
        await app.cancel(job.id, "not wanted")
    assert told(caplog) == [f"ERROR a job was cancelled job='{job.id[:12]}' stage='hang' reason='not wanted'"]


async def test_a_callback_that_is_tried_again_and_one_that_is_given_up_are_told(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = await open_app(UNTHANKED, poll=0.05)
    job = (await finished(app, UNTHANKED, n=1))["job_id"][:12]
    error = f"error='ConnectionError: nobody to thank for {job[:3]}'"
    named = f"job='{job}' callback='on_job_complete'"
    assert told(caplog) == [
        f"WARNING a callback failed, and is tried again {named} attempt='1 of 2' {error}",
        f"ERROR a callback was given up {named} attempt='2 of 2' {error}",
    ]


async def test_of_a_hundred_failures_ten_are_told_and_the_others_counted(
    open_app: OpenApp, caplog: pytest.LogCaptureFixture
) -> None:
    app: AsyncCoreMachine = await open_app(FAILING, poll=0.05)
    await finished(app, FAILING, n=100)
    assert len(told(caplog)) == 11
    await app.close()
    *_, retries, failures = told(caplog)
    assert "is tried again more=" in retries
    assert "a task failed more=" in failures
    numbers = [int(line.partition("more=")[2].split()[0]) for line in (retries, failures)]
    assert sum(numbers) == 190

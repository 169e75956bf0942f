"""The failures of the register in which a bus takes part, on each bus."""

import asyncio

import pytest

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage
from coremachine.runtime.flow import retry_later
from coremachine.statemachine.retry import Backoff
from tests.acceptance.exactly_once import tasks_that_ran_otherwise
from tests.contract.buses import BusUnderTest
from tests.observing import counted_events, events_of, rows
from tests.running import LONGEST, finished_with_short_leases, work, working
from tests.waiting import until_event

LEASE = 1.0
AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
LARGE = 20_000
EXPIRED = "UPDATE app.tasks SET lease_expires_at = app.clock() - interval '1 second', lease_owner = 'gone'"


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def long_text(number: int) -> str:
    return str(number % 10) * LARGE


@task
def add_lengths(texts: list[str]) -> int:
    return sum(map(len, texts))


@task
async def outlast(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@task
async def wait_once(number: int, context: TaskContext) -> int:
    if context.lease_number == 1:
        await asyncio.Event().wait()
    return number


TEXTS = Job(
    "texts",
    [Stage("numbers", numbers), Stage("text", long_text, each="numbers"), Stage("add", add_lengths, gather="text")],
)
LASTING = Job("lasting", [Stage("last", outlast, each="given")])
STUCK = Job("stuck", [Stage("wait", wait_once, each="given")])


async def ended(app: AsyncCoreMachine, job_id: str) -> None:
    """Completed, each task exactly once, and nothing to be found."""
    assert (await app.job(job_id))["status"] == "completed"
    assert await tasks_that_ran_otherwise(app, job_id) == []
    assert (await app.audit()).findings == ()


async def test_f01_what_is_submitted_while_nobody_listens_is_done_by_who_comes_later(
    bus_under_test: BusUnderTest,
) -> None:
    app = await bus_under_test.open_app(TEXTS)
    submitted = [await app.submit(TEXTS, count=number) for number in (1, 2)]
    await work(app)
    for one in submitted:
        await ended(app, one.id)


async def test_f02_f12_f28_every_stage_opens_the_next_once_and_a_fan_in_larger_than_any_message_arrives(
    bus_under_test: BusUnderTest,
) -> None:
    app = await bus_under_test.open_app(TEXTS, concurrency=16)
    submitted = await app.submit(TEXTS, count=60)
    async with asyncio.timeout(LONGEST), working(app), working(app):
        await until_event(app, submitted.id, "job_completed")
    told = await counted_events(app, submitted.id)
    assert (told["stage_started"], told["stage_completed"]) == (3, 3)
    assert (await app.job(submitted.id))["result"] == 60 * LARGE
    await ended(app, submitted.id)


async def test_f05_a_task_that_lasts_for_several_leases_runs_once(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(LASTING, lease=LEASE, reconcile=0.2)
    row = await finished_with_short_leases(app, LASTING, given=[2.5 * LEASE, 3 * LEASE])
    await ended(app, row["job_id"])


async def test_f07_copies_of_the_job_message_at_two_workers_open_a_stage_once(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(TEXTS)
    submitted = await app.submit(TEXTS, count=2)
    ref = MessageRef(kind="job", key=submitted.id, job_id=submitted.id, lease_number=0)
    await bus_under_test.repeat(app, [OutgoingMessage(ref=ref, send_number=number) for number in range(11, 17)])
    async with asyncio.timeout(LONGEST), working(app), working(app):
        await until_event(app, submitted.id, "job_completed")
    told = await counted_events(app, submitted.id)
    assert (told["job_started"], told["stage_started"]) == (1, 3)
    await ended(app, submitted.id)


async def test_f13_tasks_that_wait_longer_than_a_resend_are_neither_failed_nor_run_again(
    bus_under_test: BusUnderTest,
) -> None:
    app = await bus_under_test.open_app(LASTING, resend=0.2, concurrency=1, prefetch=0)
    submitted = await app.submit(LASTING, given=[0.5, 0.4, 0.3])
    await work(app)
    await ended(app, submitted.id)


async def test_f27_a_job_message_that_can_never_be_handled_fails_its_job_and_says_so(
    bus_under_test: BusUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_later, "BACKOFF", AT_ONCE)
    app = await bus_under_test.open_app(TEXTS, poll=0.02)
    submitted = await app.submit(TEXTS, count=1)
    await rows(app, "UPDATE app.stages SET definition = '{}' WHERE stage = 1")
    await work(app)
    job = await app.job(submitted.id)
    assert (job["status"], job["error"]["type"]) == ("failed", "MessageNotHandled")
    assert len(await events_of(app, submitted.id, "job_failed")) == 1


async def test_f32_a_task_whose_worker_is_lost_is_sent_for_again_and_done(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(STUCK, reconcile=0.2, lease=30.0, grace=0)
    submitted = await app.submit(STUCK, given=[1])
    async with working(app):
        await until_event(app, submitted.id, "task_started")
        await rows(app, EXPIRED)
        await until_event(app, submitted.id, "task_rescued")
        await until_event(app, submitted.id, "job_completed")
    told = await counted_events(app, submitted.id)
    assert (told["task_rescued"], told["task_started"], told["task_completed"]) == (1, 2, 1)

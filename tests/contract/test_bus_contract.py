"""What every bus keeps to: one suite, run on each."""

import asyncio
from typing import NoReturn

from coremachine import Job, Stage, task
from coremachine.runtime.bus.messages import MessageRef, OutgoingMessage
from coremachine.statemachine.retry import Backoff
from tests.contract.buses import BusUnderTest
from tests.observing import counted_events, tasks_of
from tests.running import LONGEST, work, working
from tests.waiting import until_event, until_status

SOON = Backoff(first=0.05, factor=1, most=0.05, jitter=0)


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task(queue="doubling")
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@task(retries=2, backoff=SOON)
def refuse(count: int) -> NoReturn:
    raise ValueError(f"{count} is too much")


@task
async def wait_for_ever(count: int) -> int:
    await asyncio.Event().wait()
    return count


async def thank(job_id: str) -> None:
    assert job_id


SUMS = Job(
    "sums",
    [Stage("numbers", numbers), Stage("double", double, each="numbers"), Stage("add", add, gather="double")],
    on_job_complete=thank,
)
REFUSED = Job("refused", [Stage("refuse", refuse)])
WAITING = Job("waiting", [Stage("wait", wait_for_ever)])


async def test_a_job_runs_to_its_end_and_each_step_is_told_once(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(SUMS)
    submitted = await app.submit(SUMS, count=30)
    await work(app)
    job = await app.job(submitted.id)
    assert (job["status"], job["result"]) == ("completed", 870)
    told = await counted_events(app, submitted.id)
    once = ("job_created", "job_queued", "job_started", "job_completed", "callback_executed")
    assert {name: told[name] for name in once} == dict.fromkeys(once, 1)
    assert (told["task_started"], told["task_completed"], told["stage_completed"]) == (32, 32, 3)
    assert (await app.audit()).findings == ()


async def test_job_queued_comes_before_the_job_starts(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(SUMS)
    submitted = await app.submit(SUMS, count=1)
    async with working(app):
        started = await until_event(app, submitted.id, "job_started")
        queued = await until_event(app, submitted.id, "job_queued")
        assert queued["event_id"] < started["event_id"]


async def test_nothing_is_sent_of_a_transaction_that_does_not_commit(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(SUMS)
    async with working(app):
        submitted = await app.submit(SUMS, count=1)
        await until_status(app, submitted.id, "completed")
        again = await app.submit(SUMS, count=1)
    assert again.created is False
    assert (await counted_events(app, submitted.id))["job_queued"] == 1


async def test_retries_come_again_and_end(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(REFUSED)
    submitted = await app.submit(REFUSED, count=1)
    await work(app)
    told = await counted_events(app, submitted.id)
    assert (told["task_started"], told["task_retry_scheduled"], told["task_failed"]) == (3, 2, 1)
    assert (await app.job(submitted.id))["status"] == "failed"


async def test_a_copy_of_a_message_changes_nothing_f03_f04(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(SUMS)
    submitted = await app.submit(SUMS, count=3)
    async with working(app):
        await until_event(app, submitted.id, "job_started")
        ref = MessageRef(kind="job", key=submitted.id, job_id=submitted.id, lease_number=0)
        await bus_under_test.repeat(app, [OutgoingMessage(ref=ref, send_number=number) for number in (7, 8, 9)])
        await until_event(app, submitted.id, "callback_executed")
    told = await counted_events(app, submitted.id)
    assert (told["job_started"], told["task_started"], told["job_completed"]) == (1, 5, 1)


async def test_a_task_given_back_goes_on_with_another_worker(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(WAITING, grace=0)
    submitted = await app.submit(WAITING, count=1)
    async with working(app):
        await until_event(app, submitted.id, "task_started")
    assert (await counted_events(app, submitted.id))["task_released"] == 1
    async with working(app):
        await until_event(app, submitted.id, "task_started", number=2)
    (row,) = await tasks_of(app, submitted.id)
    assert (row["attempt"], row["rescues"]) == (1, 0)


async def test_two_workers_share_the_work_and_no_task_runs_twice(bus_under_test: BusUnderTest) -> None:
    app = await bus_under_test.open_app(SUMS, concurrency=2, prefetch=2)
    submitted = await app.submit(SUMS, count=60)
    async with asyncio.timeout(LONGEST), working(app), working(app):
        await until_event(app, submitted.id, "callback_executed")
    told = await counted_events(app, submitted.id)
    assert (told["task_started"], told["task_completed"], told["job_completed"]) == (62, 62, 1)

"""Tasks past their time: an attempt ends in time, and so does whoever was asked to stop, whatever the worker does."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from threading import Event, Thread

from coremachine import AsyncCoreMachine, Job, Stage, TaskContext, task
from coremachine.runtime.settings import Settings
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.integration.test_deadlines import error_of, held, reconciler
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import LONGEST, working
from tests.waiting import until_event, until_row, until_status

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
LEASE = 3.0
OVERDUE = "UPDATE app.tasks SET deadline_at = app.clock() - interval '1 hour' WHERE job_id = %s"


@task
def double(number: int) -> int:
    return 2 * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@asynccontextmanager
async def worker_on_a_thread(app: AsyncCoreMachine, job: Job, gate: Event) -> AsyncGenerator[None]:
    """A worker on a thread and a loop of its own, which a handler may block: its lease renewer goes on all the same.

    `gate` is opened before it is asked to end, so that it can.

    It reconciles nothing in the time of a test, and has room for one handler and one task more.
    """
    settings = Settings(poll=0.05, lease=LEASE, reconcile=60, grace=0, concurrency=1, prefetch=1)
    ending: Future[Callable[[], object]] = Future()

    async def run() -> None:
        async with AsyncCoreMachine(app.url, jobs=[job], settings=settings) as other:
            worker, loop = other.worker(), asyncio.get_running_loop()
            ending.set_result(lambda: loop.call_soon_threadsafe(worker.stop))
            await worker.run()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield
    finally:
        gate.set()
        (await asyncio.wrap_future(ending))()
        await asyncio.to_thread(thread.join, LONGEST)
        assert not thread.is_alive()


async def renewed(app: AsyncCoreMachine, job_id: str) -> None:
    """Returns once the lease of the job's first task has been renewed after its time was over."""
    await rows(app, OVERDUE, job_id)
    first = "FROM app.tasks WHERE job_id = %s AND task_index = 0"
    (before,) = await rows(app, f"SELECT lease_expires_at AS at {first}", job_id)
    await until_row(app, f"SELECT 1 {first} AND lease_expires_at > %s", job_id, before["at"])


async def test_an_attempt_that_its_stuck_worker_does_not_end_is_ended_and_tried_again(open_app: OpenApp) -> None:
    gate, attempts = Event(), list[int]()

    @task(timeout=0.5, retries=1, backoff=AT_ONCE)
    async def block(context: TaskContext) -> str:
        """Blocks the loop of its worker the first time, so that nobody there can see that its time is over."""
        attempts.append(context.attempt)
        if context.attempt == 1:
            gate.wait(LONGEST)
        return f"attempt {context.attempt}"

    job = Job("blocking", [Stage("block", block)])
    app = await open_app(job, lease=LEASE, reconcile=0.1, poll=0.05)
    async with worker_on_a_thread(app, job, gate):
        submitted = await app.submit(job)
        started = await until_event(app, submitted.id, "task_started")
        await renewed(app, submitted.id)
        async with working(app):
            row = await until_status(app, submitted.id, "completed", "failed")
        gate.set()
        stale = await until_event(app, submitted.id, "stale_result_rejected")
    assert (row["status"], row["result"], attempts) == ("completed", "attempt 2", [1, 2])
    (retry,) = await events_of(app, submitted.id, "task_retry_scheduled")
    assert (retry["attempt"], retry["event_data"]["error"]["type"]) == (1, "HandlerTimeoutError")
    assert retry["event_data"]["held_by"] == started["event_data"]["worker"]
    assert "timeout of 0.5 s" in retry["event_data"]["error"]["message"]
    assert (stale["lease_number"], stale["event_data"]["outcome"]) == (1, "completed")
    assert (await counted_events(app, submitted.id))["task_rescued"] == 0


async def test_whoever_was_asked_to_stop_and_has_no_timeout_is_cancelled_in_time(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def ignore(number: int) -> int:
        gate.wait(LONGEST)
        return number

    job = Job("deaf", [Stage("ignore", ignore, each="numbers"), Stage("sum", total, gather="ignore")])
    app = await open_app(job, stop_grace=0.3, reconcile=0.1, poll=0.05)
    async with working(app):
        submitted = await app.submit(job, numbers=[1, 2])
        await until_event(app, submitted.id, "task_started", number=2)
        assert await app.cancel(submitted.id, "no longer wanted") == "processing"
        await until_status(app, submitted.id, "cancelled")
        gate.set()
        await until_event(app, submitted.id, "stale_result_rejected", number=2)
    assert [stage["status"] for stage in (await app.job(submitted.id))["stages"]] == ["cancelled", "cancelled"]
    told = await events_of(app, submitted.id, "task_cancelled")
    assert [event["event_data"]["reason"] for event in told] == ["cancel", "cancel"]
    assert {event["event_data"]["why"] for event in told} == {"it was asked to stop, and did not"}
    audit = await app.audit()
    assert (audit.trouble, [found.id for found in audit.findings]) == (None, ["GAP-23"])


async def test_a_task_that_was_asked_to_stop_has_its_grace_and_one_with_a_timeout_its_own_deadline(
    open_app: OpenApp,
) -> None:
    @task(timeout=600)
    def limited(number: int) -> int:
        return number

    unlimited_job = Job("unlimited", [Stage("double", double, each="numbers")])
    limited_job = Job("limited", [Stage("limited", limited, each="numbers")])
    app = await open_app(unlimited_job, limited_job)
    unlimited, _ = await held(app, unlimited_job, numbers=[1])
    timed, _ = await held(app, limited_job, numbers=[1])
    for job_id in (unlimited, timed):
        await app.cancel(job_id)
    await rows(app, "UPDATE app.stages SET stopped_at = app.clock() - interval '50 seconds'")
    assert (await reconciler(app).run_once())["tasks_overdue"] == 0
    await rows(app, "UPDATE app.stages SET stopped_at = app.clock() - interval '61 seconds'")
    assert (await reconciler(app).run_once())["tasks_overdue"] == 1
    assert [(await app.job(one))["status"] for one in (unlimited, timed)] == ["cancelled", "processing"]
    await rows(app, "UPDATE app.tasks SET deadline_at = app.clock() - interval '69 seconds' WHERE job_id = %s", timed)
    assert (await reconciler(app).run_once())["tasks_overdue"] == 0
    await rows(app, "UPDATE app.tasks SET deadline_at = app.clock() - interval '71 seconds' WHERE job_id = %s", timed)
    assert (await reconciler(app).run_once())["tasks_overdue"] == 1
    assert (await app.job(timed))["status"] == "cancelled"


async def test_an_overdue_attempt_with_no_retry_left_fails_its_job(open_app: OpenApp) -> None:
    @task(timeout=2)
    def limited() -> int:
        return 1

    job = Job("limited", [Stage("limited", limited)])
    app = await open_app(job)
    job_id, _ = await held(app, job)
    await rows(app, "UPDATE app.tasks SET deadline_at = app.clock() - interval '71 seconds'")
    await reconciler(app).run_once()
    status, kind, message = await error_of(app, job_id)
    assert (status, kind) == ("failed", "HandlerTimeoutError")
    assert "did not end within its timeout of 2 s, and its worker gone did not end it" in message
    assert (await counted_events(app, job_id))["stale_result_rejected"] == 0


async def test_the_time_of_a_task_that_waits_for_its_place_in_a_worker_has_not_begun(open_app: OpenApp) -> None:
    gate = Event()

    @task(timeout=600)
    async def block(number: int) -> int:
        if number == 1:
            gate.wait(LONGEST)
        return number

    job = Job("queueing", [Stage("block", block, each="numbers")])
    app = await open_app(job)
    async with worker_on_a_thread(app, job, gate):
        brief = await app.submit(job, numbers=list(range(2, 20)))  # so that the worker claims ahead
        await until_status(app, brief.id, "completed")
        submitted = await app.submit(job, numbers=[1, 2])
        await until_event(app, submitted.id, "task_started", number=2)
        await renewed(app, submitted.id)
        assert (await reconciler(app).run_once())["tasks_overdue"] == 1
        statuses = [one["status"] for one in await tasks_of(app, submitted.id)]
    assert statuses == ["failed", "processing"]

"""The worker: what it claims, what wakes it, what it keeps, and how it ends."""

import asyncio
import threading
import time
from threading import Event
from typing import Any

import psycopg
import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.executor import prefetch_policy, task_executor
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import LONGEST, finished, finished_with_short_leases, work, working
from tests.waiting import until_event, until_row, until_status

FAR = 30.0
LISTENER = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'coremachine listener' AND query LIKE 'LISTEN%'
"""

ASKED = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE '%AS unfinished%' AND pid <> pg_backend_pid()
"""
GONE = """
SELECT 1 WHERE NOT EXISTS (
  SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = ANY(%s))
"""


@task
def count_up(n: int) -> list[int]:
    return list(range(n))


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


SUMS = Job("sums", [Stage("plan", count_up), Stage("double", double, each="plan"), Stage("add", add, gather="double")])


async def idle(app: AsyncCoreMachine) -> int:
    """The process id of the worker's listener, once the worker has looked for work and found none."""
    return int((await until_row(app, LISTENER))["pid"])


async def test_f46_a_worker_claims_only_the_job_and_task_types_that_it_declares(open_app: OpenApp) -> None:
    unknown = Job("unknown", [Stage("plan", count_up)])

    @task
    def newer(numbers: list[int]) -> int:
        return len(numbers)

    longer = Job("sums", [*SUMS.stages[:2], Stage("add", newer, gather="double")])
    both, old = await open_app(unknown, longer), await open_app(SUMS)
    foreign, shared = await both.submit(unknown, n=1), await both.submit(longer, n=3)
    async with working(old):
        await until_event(old, shared.id, "stage_started", number=3)
        own = await old.submit(SUMS, n=2)
        await until_status(old, own.id, "completed")
        (left,) = await tasks_of(old, shared.id, 3)
        alone = await old.job(foreign.id)
    assert (left["status"], left["lease_number"], left["task_type"]) == ("queued", 0, "newer")
    assert (alone["status"], alone["lease_number"]) == ("queued", 0)
    await work(both)
    assert ((await both.job(shared.id))["result"], (await both.job(foreign.id))["status"]) == (3, "completed")


async def test_a_notification_wakes_an_idle_worker_at_every_step(open_app: OpenApp) -> None:
    app = await open_app(SUMS, poll=FAR, reconcile=FAR)
    async with working(app):
        await idle(app)
        began = time.monotonic()
        submitted = await app.submit(SUMS, n=20)
        row = await until_status(app, submitted.id, "completed")
        lasted = time.monotonic() - began
    assert row["result"] == 380
    assert lasted < FAR / 3, f"{lasted:.1f} s"


async def test_a_notification_wakes_a_worker_for_a_callback(open_app: OpenApp) -> None:
    called = asyncio.Event()

    async def remember(job_id: str) -> None:
        assert job_id
        called.set()

    job = Job("remembered", [Stage("plan", count_up)], on_job_complete=remember)
    app = await open_app(job, poll=FAR, reconcile=FAR)
    async with working(app):
        await idle(app)
        await app.submit(job, n=1)
        async with asyncio.timeout(FAR / 3):
            await called.wait()


async def test_a_worker_that_hears_nothing_finds_its_work_by_polling(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hear_nothing(_wake: Any) -> None:
        await asyncio.Event().wait()

    app = await open_app(SUMS, poll=0.1)
    monkeypatch.setattr(app.bus, "listen", hear_nothing)
    async with working(app):
        submitted = await app.submit(SUMS, n=5)
        assert (await until_status(app, submitted.id, "completed"))["result"] == 20
        assert not await rows(app, LISTENER)


async def test_a_listener_that_is_cut_off_listens_again(open_app: OpenApp) -> None:
    app = await open_app(SUMS, poll=FAR, reconcile=FAR)
    async with working(app):
        pid = await idle(app)
        await rows(app, "SELECT pg_terminate_backend(%s)", pid)
        await until_row(app, LISTENER.replace("%", "%%") + " AND pid <> %s", pid)
        submitted = await app.submit(SUMS, n=5)
        await until_status(app, submitted.id, "completed")


async def test_what_was_submitted_while_the_listener_was_cut_off_is_found_when_it_listens_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(SUMS, poll=FAR, reconcile=FAR)
    connect, may_listen = app.database.connection, asyncio.Event()
    async with working(app):
        pid = await idle(app)

        async def wait_then_connect(purpose: str) -> Any:
            if purpose == "listener":
                await may_listen.wait()
            return await connect(purpose)

        monkeypatch.setattr(app.database, "connection", wait_then_connect)
        await rows(app, "SELECT pg_terminate_backend(%s)", pid)
        await until_row(app, "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", pid)
        submitted = await app.submit(SUMS, n=5)
        may_listen.set()
        await until_status(app, submitted.id, "completed")


@pytest.mark.parametrize("where", ["in threads", "on the loop"])
async def test_no_more_handlers_run_at_once_than_the_concurrency_allows(open_app: OpenApp, where: str) -> None:
    lock, running, most, crowded = threading.Lock(), [0], [0], Event()

    def stay() -> None:
        """Long enough for a fourth one to come in, were it let in."""
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] > 3:
                crowded.set()
        crowded.wait(0.3)
        with lock:
            running[0] -= 1

    @task(name="meet")
    def meet_in_a_thread(number: int) -> int:
        stay()
        return number

    @task(name="meet")
    async def meet_on_the_loop(number: int) -> int:
        await asyncio.to_thread(stay)
        return number

    meet = meet_in_a_thread if where == "in threads" else meet_on_the_loop
    job = Job("meeting", [Stage("meet", meet, each="numbers"), Stage("add", add, gather="meet")])
    app = await open_app(job, concurrency=3, prefetch=20)
    row = await finished(app, job, numbers=list(range(12)))
    assert (row["result"], most[0]) == (66, 3)


async def test_f16_a_worker_that_stops_gives_back_what_has_not_finished(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_executor, "RELEASE_SECONDS", FAR)  # not before it stops
    monkeypatch.setattr(prefetch_policy, "AHEAD_SECONDS", FAR)  # however long the first one took on a busy machine
    gate, calls = Event(), [0]

    @task
    def wait_the_second_time(number: int) -> int:
        calls[0] += 1
        if calls[0] == 2:
            gate.wait(30)
        return number

    job = Job("gated", [Stage("wait", wait_the_second_time, each="numbers")])
    app = await open_app(job, concurrency=1, prefetch=1, grace=0.1)
    async with working(app):
        submitted = await app.submit(job, numbers=[1, 2, 3])
        await until_event(app, submitted.id, "task_started", number=3)
    released = await events_of(app, submitted.id, "task_released")
    assert [(event["event_status"], event["attempt"], event["lease_number"]) for event in released] == [
        ("warning", 1, 1),
        ("warning", 1, 1),
    ]
    assert all(event["event_data"]["reason"] == "worker stopping" for event in released)
    tasks = await tasks_of(app, submitted.id)
    assert [(one["status"], one["attempt"], one["lease_owner"]) for one in tasks[1:]] == [("queued", 1, None)] * 2
    await work(app)
    gate.set()
    tasks = await tasks_of(app, submitted.id)
    assert [(one["status"], one["attempt"], one["lease_number"]) for one in tasks[1:]] == [("completed", 1, 2)] * 2
    assert (await counted_events(app, submitted.id))["task_completed"] == 3


async def test_what_waits_behind_a_handler_that_lasts_is_given_back_for_others_to_take(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_executor, "RELEASE_SECONDS", 0.2)
    monkeypatch.setattr(prefetch_policy, "AHEAD_SECONDS", FAR)
    gate = Event()

    @task
    def wait_at_the_second(number: int) -> int:
        if number == 2:
            gate.wait(60)
        return number

    job = Job("gated", [Stage("wait", wait_at_the_second, each="numbers")])
    one, other = await open_app(job, concurrency=1), await open_app(job, concurrency=1)
    async with working(one):
        submitted = await one.submit(job, numbers=[1, 2, 3, 4])
        await until_event(one, submitted.id, "task_released")
        async with working(other):
            await until_event(one, submitted.id, "task_completed", number=3)
        gate.set()
        await until_status(one, submitted.id, "completed")
    released = await events_of(one, submitted.id, "task_released")
    assert {event["event_data"]["reason"] for event in released} == {"its worker is busy"}


async def test_a_type_that_was_never_seen_or_lasts_is_not_claimed_ahead(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def wait_at_the_gate(number: int) -> int:
        assert gate.wait(60)
        return number

    job = Job("gated", [Stage("wait", wait_at_the_gate, each="numbers")])
    app = await open_app(job, concurrency=2)
    async with working(app):
        submitted = await app.submit(job, numbers=[1, 2, 3, 4, 5])
        await until_event(app, submitted.id, "task_started", number=2)
        tasks = await tasks_of(app, submitted.id)
        assert [one["status"] for one in tasks] == ["processing"] * 2 + ["queued"] * 3
        gate.set()
        await until_status(app, submitted.id, "completed")


async def test_a_worker_that_stops_lets_what_runs_finish_within_its_grace(open_app: OpenApp) -> None:
    begun, stopping = Event(), Event()

    @task
    def finish_in_time() -> str:
        begun.set()
        assert stopping.wait(30)
        return "in time"

    job = Job("graceful", [Stage("finish", finish_in_time)])
    app = await open_app(job, grace=20)
    worker = app.worker()
    running = asyncio.create_task(worker.run())
    submitted = await app.submit(job)
    assert await asyncio.to_thread(begun.wait, 30)
    worker.stop()
    stopping.set()
    async with asyncio.timeout(LONGEST):
        await running
    (one,) = await tasks_of(app, submitted.id)
    assert (one["status"], one["result"], one["lease_number"]) == ("completed", "in time", 1)


async def test_a_worker_until_idle_waits_for_what_another_one_is_running(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def wait_at_the_gate() -> str:
        assert gate.wait(30)
        return "open"

    job = Job("gated", [Stage("wait", wait_at_the_gate)])
    app, other = await open_app(job), await open_app(job)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_started")
        until_idle = asyncio.create_task(other.work(until_idle=True))
        await until_row(app, ASKED)
        assert not until_idle.done()
        gate.set()
        async with asyncio.timeout(LONGEST):
            await until_idle
    assert (await app.job(submitted.id))["result"] == "open"


async def test_f40_a_handler_that_blocks_the_loop_keeps_its_lease(open_app: OpenApp, url: str) -> None:
    lease = 0.6

    @task
    async def block() -> bool:
        """Nothing else of the worker's loop runs until its lease should have ended three times over."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_sleep(%s)", (3 * lease,))
            row = connection.execute("SELECT lease_expires_at > app.clock() FROM app.tasks").fetchone()
            return row is not None and bool(row[0])

    job = Job("blocking", [Stage("block", block)])
    app = await open_app(job, lease=lease)
    row = await finished_with_short_leases(app, job)
    assert row["result"] is True
    (one,) = await tasks_of(app, row["job_id"])
    assert (one["lease_number"], one["attempt"]) == (1, 1)


async def test_a_worker_that_has_ended_leaves_no_lease_and_no_connection_of_its_own(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    await finished(app, SUMS, n=3)
    assert not await rows(app, "SELECT FROM app.tasks WHERE lease_owner IS NOT NULL")
    assert not await rows(app, "SELECT FROM app.jobs WHERE lease_owner IS NOT NULL")
    await until_row(app, GONE, ["coremachine listener", "coremachine leases"])

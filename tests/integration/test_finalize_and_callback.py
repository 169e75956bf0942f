"""The end of a job: its finalizer (GAP-6), then its callback (GAP-7), and what becomes of their failures."""

import asyncio
from typing import Any

import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.examples.approval import APPROVALS, publish
from coremachine.runtime.settings import Settings
from coremachine.runtime.store.session import Row
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, rows
from tests.running import finished, working
from tests.waiting import until_event, until_row

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)


@task
def measure(size: int) -> dict[str, int]:
    return {"size": size}


@task
def double(number: int) -> int:
    return 2 * number


def area(measured: dict[str, int], size: int) -> int:
    return measured["size"] * size


def total(numbers: list[int]) -> int:
    return sum(numbers)


async def total_later(numbers: list[int]) -> int:
    return await asyncio.to_thread(sum, numbers)


def refuse(_output: Any) -> int:
    raise ArithmeticError("no mean of nothing")


def leave(_output: Any) -> int:
    raise SystemExit(4)


def give_object(_output: Any) -> object:
    return object()


async def event_types(app: AsyncCoreMachine, job_id: str) -> list[str]:
    return [event["event_type"] for event in await events_of(app, job_id)]


async def job_without_lease(app: AsyncCoreMachine, job_id: str) -> Row:
    columns = "status, result, error, finished_at, move_number"
    (row,) = await rows(app, f"SELECT {columns} FROM app.jobs WHERE job_id = %s", job_id)  # noqa: S608 - named above
    return row


@pytest.mark.parametrize("finalize", [total, total_later])
async def test_the_finalizer_makes_the_result_of_the_last_stages_output(open_app: OpenApp, finalize: Any) -> None:
    job = Job("totals", [Stage("double", double, each="numbers")], finalize=finalize)
    app = await open_app(job)
    row = await finished(app, job, numbers=[1, 2, 3])
    assert (row["status"], row["result"]) == ("completed", 12)
    (completed,) = await events_of(app, row["job_id"], "job_completed")
    assert completed["event_data"] == {"finalizer": "succeeded"}


async def test_the_finalizer_takes_job_parameters_by_name(open_app: OpenApp) -> None:
    job = Job("area", [Stage("measure", measure)], finalize=area)
    app = await open_app(job)
    assert (await finished(app, job, size=3))["result"] == 9


async def test_without_a_finalizer_a_fan_out_ends_with_the_number_of_its_results(open_app: OpenApp) -> None:
    job = Job("plain", [Stage("double", double, each="numbers")])
    app = await open_app(job)
    row = await finished(app, job, numbers=[1, 2, 3])
    assert row["result"] == {"results": 3}


@pytest.mark.parametrize(
    ("finalize", "kind"), [(refuse, "ArithmeticError"), (leave, "SystemExit"), (give_object, "ResultError")]
)
async def test_gap_6_a_finalizer_that_fails_leaves_a_warning_and_the_output(
    open_app: OpenApp, finalize: Any, kind: str
) -> None:
    job = Job("marked", [Stage("measure", measure)], finalize=finalize)
    app = await open_app(job)
    row = await finished(app, job, size=3)
    assert (row["status"], row["result"], row["error"]) == ("completed", {"size": 3}, None)
    (warning,) = await events_of(app, row["job_id"], "finalizer_failed")
    assert warning["event_status"] == "warning"
    assert kind in str(warning["event_data"]["error"])
    (completed,) = await events_of(app, row["job_id"], "job_completed")
    assert completed["event_data"]["finalizer"] == "failed"
    assert kind in str(completed["event_data"]["error"])
    assert warning["transaction_id"] == completed["transaction_id"]
    assert "▲ finalizer_failed" in await app.timeline(row["job_id"])


async def test_gap_6_a_required_finalizer_that_fails_fails_the_job(open_app: OpenApp) -> None:
    called: list[str] = []

    def remember(job_id: str) -> None:
        called.append(job_id)

    job = Job("strict", [Stage("measure", measure)], finalize=refuse, finalize_required=True, on_job_complete=remember)
    app = await open_app(job)
    row = await finished(app, job, size=3)
    assert (row["status"], row["result"], row["error"]["type"]) == ("failed", None, "ArithmeticError")
    (failed,) = await events_of(app, row["job_id"], "job_failed")
    assert failed["event_data"]["error"]["message"] == "no mean of nothing"
    assert called == []
    assert not await rows(app, "SELECT * FROM app.callbacks")


async def test_the_callback_runs_after_the_job_has_completed_and_is_told(open_app: OpenApp) -> None:
    told: list[Any] = []

    def remember(job_id: str, result: Any, size: int) -> None:
        told.append((job_id, result, size))

    job = Job("remembered", [Stage("measure", measure)], finalize=area, on_job_complete=remember)
    app = await open_app(job)
    row = await finished(app, job, size=5)
    assert told == [(row["job_id"], 25, 5)]
    (executed,) = await events_of(app, row["job_id"], "callback_executed")
    assert (executed["event_status"], executed["attempt"]) == ("success", 1)
    assert (executed["event_data"]["name"], executed["event_data"]["attempt"]) == ("on_job_complete", 1)
    types = await event_types(app, row["job_id"])
    assert types.index("job_completed") < types.index("callback_started") < types.index("callback_executed")
    completed, started = await events_of(app, row["job_id"], "job_completed", "callback_started")
    assert completed["transaction_id"] != started["transaction_id"]


async def test_the_callback_makes_a_record_of_the_users_own_and_its_lifecycle_holds(empty_url: str) -> None:
    settings = Settings(poll=0.2)
    async with AsyncCoreMachine(empty_url, jobs=[publish], records=[APPROVALS], settings=settings, install=True) as app:
        row = await finished(app, publish, title="Relief")
        approval = await app.records.get(APPROVALS, row["job_id"])
        assert (approval["status"], approval["summary"]) == ("pending", "Relief: please look")
        assert (await counted_events(app, row["job_id"]))["callback_executed"] == 1
        assert await app.records.fire(APPROVALS, row["job_id"], "approve", {"decided_by": "a reviewer"}) == "approved"
        events = await app.records.events(APPROVALS, row["job_id"])
    assert [event["event_type"] for event in events] == ["approval_requested", "approval_given"]


async def test_gap_7_a_callback_that_fails_is_tried_again_and_each_attempt_is_told(open_app: OpenApp) -> None:
    attempts: list[str] = []

    async def third_time(job_id: str) -> None:
        attempts.append(job_id)
        if len(attempts) < 3:
            raise ConnectionError(f"mail server said no to {len(attempts)}")

    job = Job("notified", [Stage("measure", measure)], on_job_complete=third_time, callback_backoff=AT_ONCE)
    app = await open_app(job, poll=0.05)
    row = await finished(app, job, size=1)
    assert len(attempts) == 3
    executed = await events_of(app, row["job_id"], "callback_executed")
    assert [(event["event_status"], event["attempt"]) for event in executed] == [
        ("failure", 1),
        ("failure", 2),
        ("success", 3),
    ]
    first = executed[0]["event_data"]
    assert (first["error"]["type"], first["attempt"], first["of"]) == ("ConnectionError", 1, 6)
    assert first["error"]["message"] == "mail server said no to 1"
    retries = await events_of(app, row["job_id"], "callback_retry_scheduled")
    assert [event["attempt"] for event in retries] == [1, 2]
    assert row["status"] == "completed"


async def test_gap_7_a_callback_that_never_succeeds_changes_nothing_of_the_job(open_app: OpenApp) -> None:
    def refuse_callback(result: dict[str, int]) -> None:
        raise SystemExit(f"no use for {result['size']}")

    options: dict[str, Any] = {"callback_retries": 1, "callback_backoff": AT_ONCE}
    job = Job("unheard", [Stage("measure", measure)], on_job_complete=refuse_callback, **options)
    app = await open_app(job, poll=0.05)
    async with working(app):
        submitted = await app.submit(job, size=1)
        await until_event(app, submitted.id, "job_completed")
        completed = await job_without_lease(app, submitted.id)
        await until_event(app, submitted.id, "callback_failed")
    assert await job_without_lease(app, submitted.id) == completed
    assert (completed["status"], completed["result"]) == ("completed", {"size": 1})
    (callback,) = await rows(app, "SELECT status, attempt, max_attempts FROM app.callbacks")
    assert callback == {"status": "failed", "attempt": 2, "max_attempts": 2}
    executed = await events_of(app, submitted.id, "callback_executed")
    assert [event["event_status"] for event in executed] == ["failure", "failure"]
    assert "no use for 1" in str(executed[-1]["event_data"]["error"])


async def test_a_callback_waits_for_its_back_off(open_app: OpenApp) -> None:
    def refuse_callback() -> None:
        raise ConnectionError("later")

    slow = Backoff(first=60, factor=1, most=60, jitter=0)
    job = Job("patient", [Stage("measure", measure)], on_job_complete=refuse_callback, callback_backoff=slow)
    app = await open_app(job)
    async with working(app):
        submitted = await app.submit(job, size=1)
        await until_event(app, submitted.id, "callback_retry_scheduled")
    (callback,) = await rows(
        app, "SELECT status, attempt, extract(epoch FROM due_at - app.clock())::float8 AS due_s FROM app.callbacks"
    )
    assert (callback["status"], callback["attempt"]) == ("queued", 2)
    assert 50 < callback["due_s"] <= 60


async def test_f16_a_callback_under_way_when_its_worker_stops_is_given_back_and_counts_no_rescue(
    open_app: OpenApp,
) -> None:
    started = asyncio.Event()

    async def tell(result: dict[str, int]) -> None:
        assert result == {"size": 3}
        started.set()
        await asyncio.Event().wait()

    app = await open_app(job := Job("given_back", [Stage("measure", measure)], on_job_complete=tell), grace=0.1)
    async with working(app):
        submitted = await app.submit(job, size=3)
        async with asyncio.timeout(60):
            await started.wait()
    (callback,) = await rows(app, "SELECT status, attempt, rescues, lease_number FROM app.callbacks")
    assert callback == {"status": "queued", "attempt": 1, "rescues": 0, "lease_number": 1}
    (event,) = await events_of(app, submitted.id, "callback_released")
    assert event["event_data"]["reason"] == "worker stopping"


async def test_where_the_callback_cannot_be_owed_the_job_does_not_complete(open_app: OpenApp) -> None:
    def remember(job_id: str) -> None:
        raise AssertionError(job_id)

    job = Job("owed", [Stage("measure", measure)], on_job_complete=remember)
    app = await open_app(job, lease=0.6)
    await rows(app, "ALTER TABLE app.callbacks ADD CONSTRAINT nobody_is_called CHECK (name <> 'on_job_complete')")
    async with working(app):
        submitted = await app.submit(job, size=1)
        await until_event(app, submitted.id, "stage_completed")
        await until_row(app, "SELECT FROM app.jobs WHERE status = 'processing' AND lease_number > 2")
        row = await app.job(submitted.id)
    assert (row["status"], row["result"]) == ("processing", None)
    assert (await counted_events(app, submitted.id))["job_completed"] == 0

"""The reconciler: what a lost worker held is found and sent on, by the moves of the flow."""

import asyncio
from threading import Event as Flag

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.reconciler import Reconciler
from tests.databases import OpenApp
from tests.integration.lost_worker import EXPIRE, handle_messages, lose
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import work, working
from tests.waiting import until_event, until_row, until_status


@task(retries=1)
def one(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


SUMS = Job("rescued_sums", [Stage("each", one, each="numbers"), Stage("sum", total, gather="each")])


async def claimed_by_a_lost_worker(app: AsyncCoreMachine, numbers: list[int]) -> str:
    """A job whose first stage is open, and whose tasks are held by a worker that is gone."""
    submitted = await app.submit(SUMS, numbers=numbers)
    await lose(app)
    return submitted.id


def reconciler(app: AsyncCoreMachine) -> Reconciler:
    return Reconciler(app.database, app.bus, "finder", app.settings)


async def test_f32_tasks_of_a_lost_worker_are_queued_again_with_an_event(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await claimed_by_a_lost_worker(app, numbers=[1, 2, 3])
    found = await reconciler(app).run_once()
    assert {name: number for name, number in found.items() if number} == {"tasks_rescued": 3}
    tasks = await tasks_of(app, job_id)
    assert [(t["status"], t["attempt"], t["rescues"], t["lease_number"]) for t in tasks] == [("queued", 1, 1, 1)] * 3
    event, *_ = await events_of(app, job_id, "task_rescued")
    assert event["event_status"] == "warning"
    assert event["event_data"] == {"found_by": "finder", "lost_worker": "gone", "rescues": 0}
    await work(app)
    assert (await app.job(job_id))["result"] == 6


async def test_a_lease_that_is_renewed_is_not_rescued(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await claimed_by_a_lost_worker(app, numbers=[1])
    await rows(app, "UPDATE app.tasks SET lease_expires_at = now() + interval '1 minute'")
    assert (await reconciler(app).run_once())["tasks_rescued"] == 0
    assert (await counted_events(app, job_id))["task_rescued"] == 0


async def test_f44_a_task_that_outlives_too_many_workers_fails_with_its_job(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await claimed_by_a_lost_worker(app, numbers=[1, 2])
    await rows(app, "UPDATE app.tasks SET rescues = max_rescues WHERE task_index = 0")
    await reconciler(app).run_once()
    job = await app.job(job_id)
    assert (job["status"], [stage["status"] for stage in job["stages"]]) == ("failed", ["failed", "cancelled"])
    assert job["error"]["type"] == "LeaseExpired"
    assert "its worker was lost 4 times; 3 rescues are allowed" in job["error"]["message"]


async def test_f44_a_resumed_task_may_outlive_as_many_workers_again(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await claimed_by_a_lost_worker(app, numbers=[1])
    await rows(app, "UPDATE app.tasks SET rescues = max_rescues")
    await reconciler(app).run_once()
    await app.resume(job_id)
    await lose(app)
    (task,) = await tasks_of(app, job_id)
    assert (task["rescues"], task["max_rescues"]) == (0, 3)
    await reconciler(app).run_once()
    (task,) = await tasks_of(app, job_id)
    assert (task["status"], task["rescues"]) == ("queued", 1)


async def test_f06_a_rescued_task_cannot_be_completed_by_its_lost_worker(open_app: OpenApp) -> None:
    gate = Flag()

    @task
    def slow() -> int:
        gate.wait(30)
        return 1

    job = Job("slow", [Stage("slow", slow)])
    app = await open_app(job, reconcile=60)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_started")
        await rows(app, EXPIRE)
        assert (await reconciler(app).run_once())["tasks_rescued"] == 1
        await until_event(app, submitted.id, "task_started", number=2)
        gate.set()
        assert (await until_status(app, submitted.id, "completed"))["result"] == 1
        stale = await until_event(app, submitted.id, "stale_result_rejected")
    assert stale["lease_number"] == 1
    assert (await counted_events(app, submitted.id))["task_completed"] == 1


async def test_f02_a_job_that_nobody_would_come_for_is_sent_for_again(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    submitted = await app.submit(SUMS, numbers=[])
    await app.submit(SUMS, numbers=[1])
    await handle_messages(app)
    await rows(app, "UPDATE app.jobs SET due_at = NULL, lease_owner = NULL, lease_expires_at = NULL")
    assert (await reconciler(app).run_once())["jobs_sent_for"] == 1, "the other one has an open stage"
    (event,) = await events_of(app, submitted.id, "gap_found")
    assert event["event_data"] == {"gap": "no open stage and no message"}
    await work(app)
    assert (await app.job(submitted.id))["result"] == 0


async def test_f14_its_runs_and_failures_are_recorded(open_app: OpenApp) -> None:
    app = await open_app(SUMS, reconcile=0.1)
    async with working(app) as worker:
        query = "SELECT * FROM app.workers WHERE worker = %s AND runs >= 2"
        seen = await until_row(app, query, worker.name)
        assert (seen["failures"], seen["last_error"]) == (0, None)
        await rows(app, "ALTER TABLE app.callbacks RENAME TO callbacks_hidden")
        failed = await until_row(app, "SELECT * FROM app.workers WHERE worker = %s AND failures >= 1", worker.name)
        await rows(app, "ALTER TABLE app.callbacks_hidden RENAME TO callbacks")
    assert failed["last_error"]["type"] == "UndefinedTable"


async def test_f05_after_an_outage_workers_that_live_may_renew_before_anything_is_rescued(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(SUMS)
    job_id = await claimed_by_a_lost_worker(app, [1, 2])
    waits = list[float]()

    async def stop_here(seconds: float) -> None:
        waits.append(seconds)
        raise asyncio.CancelledError

    async def meet_an_outage() -> dict[str, int]:
        raise psycopg.OperationalError("the connection is lost")

    patient = Reconciler(app.database, app.bus, "finder", app.settings, patience=7.0)
    monkeypatch.setattr(patient, "run_once", meet_an_outage)
    monkeypatch.setattr("coremachine.runtime.reconciler.reconciler.asyncio.sleep", stop_here)
    with pytest.raises(asyncio.CancelledError):
        await patient.run()
    assert waits == [7.0]
    assert (await counted_events(app, job_id))["task_rescued"] == 0
    (recorded,) = await rows(app, "SELECT failures FROM app.workers WHERE worker = 'finder'")
    assert recorded["failures"] == 1

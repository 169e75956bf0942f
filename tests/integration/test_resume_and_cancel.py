"""resume: only what did not succeed runs again. cancel: what has not started never will, what runs is asked to stop."""

import asyncio
from threading import Event as Flag

import pytest

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.reconciler import Reconciler
from coremachine.runtime.store.rows import ClaimedTask
from coremachine.statemachine.errors import IllegalMoveError
from tests.databases import OpenApp
from tests.integration.lost_worker import handle_messages, lose
from tests.observing import counted_events, events_of, everything, rows, tasks_of
from tests.running import finished, work, working
from tests.waiting import until_event, until_status


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


async def test_f21_a_resumed_job_runs_again_only_what_did_not_succeed(open_app: OpenApp) -> None:
    mended = Flag()
    ran: list[int] = []

    @task
    def fragile(number: int) -> int:
        ran.append(number)
        if number == 2 and not mended.is_set():
            raise ValueError("not yet")
        return number

    job = Job(
        "fragile",
        [Stage("work", fragile, each="numbers", policy="finish_siblings"), Stage("sum", total, gather="work")],
    )
    app = await open_app(job)
    failed = await finished(app, job, numbers=[0, 1, 2, 3])
    assert (failed["status"], sorted(ran)) == ("failed", [0, 1, 2, 3])
    before = await everything(app)
    plan = await app.resume(failed["job_id"], dry_run=True)
    assert (plan.from_stage, plan.tasks_again, plan.tasks_kept) == ("work", 1, 3)
    assert await everything(app) == before, "a dry run changes nothing"
    mended.set()
    ran.clear()
    assert await app.resume(failed["job_id"]) == plan
    await work(app)
    ended = await app.job(failed["job_id"])
    assert (ended["status"], ended["result"], ran) == ("completed", 6, [2])
    again = (await tasks_of(app, failed["job_id"], stage=1))[2]
    assert (again["attempt"], again["max_attempts"], again["lease_number"]) == (2, 2, 2)
    counted = await counted_events(app, failed["job_id"])
    assert counted["task_failed"] == counted["job_failed"] == counted["job_resumed"] == counted["task_resumed"] == 1
    assert counted["stage_resumed"] == 2
    assert counted["job_queued"] == 2


async def test_a_resumed_task_has_all_its_retries_again(open_app: OpenApp) -> None:
    @task(retries=1)
    def never() -> None:
        raise ValueError("no")

    job = Job("never", [Stage("only", never)])
    app = await open_app(job)
    first = await finished(app, job)
    await app.resume(first["job_id"])
    await work(app)
    (one,) = await tasks_of(app, first["job_id"])
    assert (one["attempt"], one["max_attempts"]) == (4, 4)
    assert [event["attempt"] for event in await events_of(app, first["job_id"], "task_failed")] == [2, 4]


async def test_a_job_whose_required_finalizer_failed_resumes_with_it(open_app: OpenApp) -> None:
    mended = Flag()

    @task
    def one() -> int:
        return 1

    def finalize(result: int) -> int:
        if not mended.is_set():
            raise ValueError("not yet")
        return result + 1

    job = Job("final", [Stage("only", one)], finalize=finalize, finalize_required=True)
    app = await open_app(job)
    failed = await finished(app, job)
    assert failed["status"] == "failed"
    mended.set()
    plan = await app.resume(failed["job_id"])
    assert (plan.from_stage, plan.tasks_again) == (None, 0)
    await work(app)
    ended = await app.job(failed["job_id"])
    assert (ended["status"], ended["result"]) == ("completed", 2)
    assert len(await tasks_of(app, failed["job_id"])) == 1


async def test_f22_a_running_or_completed_job_is_not_resumed(open_app: OpenApp) -> None:
    @task
    def one() -> int:
        return 1

    job = Job("plain", [Stage("only", one)])
    app = await open_app(job)
    submitted = await app.submit(job)
    with pytest.raises(IllegalMoveError, match="cannot resume from queued"):
        await app.resume(submitted.id)
    await work(app)
    before = await everything(app)
    with pytest.raises(IllegalMoveError, match="cannot resume from completed"):
        await app.resume(submitted.id)
    with pytest.raises(IllegalMoveError, match="cannot cancel from completed"):
        await app.cancel(submitted.id)
    assert await everything(app) == before


async def test_two_resumes_at_once_queue_the_job_once(open_app: OpenApp) -> None:
    @task
    def never() -> None:
        raise ValueError("no")

    job = Job("twice", [Stage("only", never)])
    app, other = await open_app(job), await open_app(job)
    failed = await finished(app, job)
    answers = await asyncio.gather(app.resume(failed["job_id"]), other.resume(failed["job_id"]), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["IllegalMoveError", "ResumePlan"]
    assert (await counted_events(app, failed["job_id"]))["job_resumed"] == 1


async def test_f06_a_worker_that_stops_too_late_does_not_cancel_the_resumed_task(open_app: OpenApp) -> None:
    @task
    def one() -> int:
        return 1

    job = Job("stopped_too_late", [Stage("only", one)])
    app = await open_app(job)
    submitted = await app.submit(job)
    await lose(app)
    (row,) = await tasks_of(app, submitted.id)
    held = ClaimedTask(key=row["task_id"], **{name: row[name] for name in ClaimedTask._fields if name != "key"})
    await app.cancel(submitted.id)
    await Reconciler(app.database, app.bus, "finder", app.settings).run_once()
    await app.resume(submitted.id)
    await handle_messages(app)
    async with app.database.transaction() as session:
        assert await record_outcomes(session, app.bus, [Outcome(task=held, kind="cancelled")], "gone") == set()
    (row,) = await tasks_of(app, submitted.id)
    assert (row["status"], row["lease_number"]) == ("queued", held.lease_number)
    assert (await counted_events(app, submitted.id))["stale_result_rejected"] == 1
    await work(app)
    assert (await app.job(submitted.id))["result"] == 1


async def test_a_queued_job_is_cancelled_at_once_with_its_stages(open_app: OpenApp) -> None:
    @task
    def one() -> int:
        return 1

    job = Job("early", [Stage("first", one), Stage("second", one)])
    app = await open_app(job)
    submitted = await app.submit(job)
    assert await app.cancel(submitted.id, "changed our mind") == "cancelled"
    await work(app)
    ended = await app.job(submitted.id)
    assert (ended["status"], [stage["status"] for stage in ended["stages"]]) == ("cancelled", ["cancelled"] * 2)
    (event,) = await events_of(app, submitted.id, "job_cancelled")
    assert event["event_data"]["reason"] == "changed our mind"
    await app.resume(submitted.id)
    await work(app)
    assert (await app.job(submitted.id))["status"] == "completed"


async def test_a_running_job_ends_cancelled_once_its_running_tasks_have_stopped(open_app: OpenApp) -> None:
    @task
    def wait_to_be_stopped(number: int, context: TaskContext) -> int:
        assert context.wait(30), "nobody asked it to stop"
        context.raise_if_cancelled()
        return number

    job = Job("stopped", [Stage("wait", wait_to_be_stopped, each="numbers"), Stage("sum", total, gather="wait")])
    app, looking_on = await open_app(job, concurrency=2, prefetch=0, lease=0.6), await open_app()
    async with working(app):
        submitted = await app.submit(job, numbers=[0, 1, 2, 3])
        await until_event(looking_on, submitted.id, "task_started", number=2)
        assert await looking_on.cancel(submitted.id, "wrong \x00 raster, says Ada") == "processing"
        assert await looking_on.cancel(submitted.id, "again") == "processing", "asking twice changes nothing"
        ended = await until_status(looking_on, submitted.id, "cancelled", "completed", "failed")
    assert ended["status"] == "cancelled"
    job_row = await app.job(submitted.id)
    assert [stage["status"] for stage in job_row["stages"]] == ["cancelled", "cancelled"]
    assert job_row["stages"][0]["tasks_cancelled"] == 4
    counted = await counted_events(app, submitted.id)
    assert (counted["task_started"], counted["task_cancelled"], counted["stop_requested"]) == (2, 4, 1)
    (job_id_of_body,) = await events_of(looking_on, submitted.id, "job_cancelled")
    (stage_told, *_) = await events_of(looking_on, submitted.id, "stage_cancelled")
    reason = "wrong \N{SYMBOL FOR NULL} raster, says Ada"
    assert (job_id_of_body["event_data"]["reason"], stage_told["event_data"]["reason"]) == (reason, reason)


async def test_a_cancelled_job_whose_worker_is_gone_ends_when_its_lease_has(open_app: OpenApp) -> None:
    held = Flag()

    @task
    def hang() -> None:
        held.wait(30)

    job = Job("gone", [Stage("hang", hang)])
    app = await open_app(job, lease=0.6, reconcile=0.2)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_started")
        await app.cancel(submitted.id)
        # as if its worker were gone: the lease is another one's, and nobody renews it
        await rows(app, "UPDATE app.tasks SET lease_number = lease_number + 1, lease_owner = 'gone' RETURNING task_id")
        ended = await until_status(app, submitted.id, "cancelled", "completed", "failed")
        held.set()
    assert ended["status"] == "cancelled"
    (event,) = await events_of(app, submitted.id, "task_cancelled")
    assert event["event_data"]["lost_worker"] == "gone"

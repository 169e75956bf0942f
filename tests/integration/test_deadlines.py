"""The deadline of a job: past it the job fails, whatever it waits for."""

import asyncio
from typing import Any

import pytest

from coremachine import AsyncCoreMachine, Job, Stage, TaskContext, task
from coremachine.runtime.flow.deadline import end_overdue_job
from coremachine.runtime.reconciler import Reconciler
from coremachine.runtime.store.session import Row
from coremachine.statemachine.errors import DefinitionError
from tests.databases import OpenApp
from tests.integration.lost_worker import claim_tasks, handle_messages
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import LONGEST, finished, work, working
from tests.waiting import until_event, until_status

PASSED = "UPDATE app.jobs SET deadline_at = app.clock() - interval '1 second' WHERE deadline_at IS NOT NULL"


@task
def double(number: int) -> int:
    return 2 * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


SUMS = Job("sums", [Stage("double", double, each="numbers"), Stage("sum", total, gather="double")], deadline=3600)


def reconciler(app: AsyncCoreMachine) -> Reconciler:
    return Reconciler(app.database, app.bus, "finder", app.settings)


async def held(app: AsyncCoreMachine, job: Job, **parameters: Any) -> tuple[str, Row]:
    """A job whose tasks are all held under a living lease by a worker that does nothing, and the first of them."""
    submitted = await app.submit(job, **parameters)
    await handle_messages(app)
    await claim_tasks(app)
    await rows(app, "UPDATE app.tasks SET lease_expires_at = app.clock() + interval '10 minutes'")
    return submitted.id, (await tasks_of(app, submitted.id))[0]


async def error_of(app: AsyncCoreMachine, job_id: str) -> tuple[str, str, str]:
    """How the job ended, and the type and message of its error."""
    row = await app.job(job_id)
    return row["status"], row["error"]["type"], row["error"]["message"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_deadline_that_is_no_time_is_refused_by_the_declaration_and_by_submit(
    open_app: OpenApp, seconds: float
) -> None:
    with pytest.raises(DefinitionError, match="a deadline is a positive number of seconds"):
        Job("sums", SUMS.stages, deadline=seconds)
    app = await open_app(SUMS)
    with pytest.raises(DefinitionError, match="a deadline is a positive number of seconds"):
        await app.submit(SUMS, deadline=seconds, numbers=[1])
    assert await app.list_jobs() == []


async def test_the_deadline_is_that_of_the_submission_else_that_of_the_declaration(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    declared, own = await app.submit(SUMS, numbers=[1]), await app.submit(SUMS, deadline=60, numbers=[2])
    again = await app.submit(SUMS, deadline=5, numbers=[2])
    left = await rows(app, "SELECT job_id, extract(epoch FROM deadline_at - created_at)::int AS s FROM app.jobs")
    assert {row["job_id"]: row["s"] for row in left} == {declared.id: 3600, own.id: 60}
    assert (again.id, again.created) == (own.id, False)


async def test_a_job_that_ends_in_time_is_left_alone(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    row = await finished(app, SUMS, numbers=[1, 2])
    assert (row["status"], row["result"], row["deadline_at"]) == ("completed", 6, None)
    assert (await reconciler(app).run_once())["jobs_overdue"] == 0


async def test_a_job_past_its_deadline_fails_though_nobody_ever_came_for_it(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1])
    assert (await reconciler(app).run_once())["jobs_overdue"] == 0
    await rows(app, PASSED)
    assert (await reconciler(app).run_once())["jobs_overdue"] == 1
    assert await error_of(app, job.id) == (
        "failed",
        "DeadlineExceeded",
        "the job did not end within its deadline of 3600 s: stage 1 (double) had not been opened",
    )
    assert [stage["status"] for stage in (await app.job(job.id))["stages"]] == ["cancelled", "cancelled"]
    (failed,) = await events_of(app, job.id, "job_failed")
    assert failed["event_data"]["error"]["type"] == "DeadlineExceeded"
    assert (await app.audit()).findings == ()


async def test_past_the_deadline_queued_tasks_are_cancelled_at_once_and_running_ones_may_end(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1, 2, 3])
    await handle_messages(app)
    await rows(app, "UPDATE app.tasks SET due_at = app.clock() + interval '1 hour' WHERE task_index > 0")
    assert await claim_tasks(app) == 1
    await rows(app, PASSED)
    assert (await reconciler(app).run_once())["jobs_overdue"] == 1
    assert [one["status"] for one in await tasks_of(app, job.id)] == ["processing", "cancelled", "cancelled"]
    (stage, _) = (await app.job(job.id))["stages"]
    assert (stage["status"], stage["stop_reason"]) == ("processing", "deadline")
    assert (await reconciler(app).run_once())["jobs_overdue"] == 0, "it was asked once"
    await rows(app, "UPDATE app.tasks SET lease_expires_at = app.clock() WHERE status = 'processing'")
    await reconciler(app).run_once()
    status, kind, message = await error_of(app, job.id)
    assert (status, kind) == ("failed", "DeadlineExceeded")
    assert message.endswith("stage 1 (double) was processing, 0 of its 3 tasks had completed")
    assert [one["status"] for one in (await app.job(job.id))["stages"]] == ["failed", "cancelled"]
    counted = await counted_events(app, job.id)
    assert (counted["job_failed"], counted["stop_requested"]) == (1, 1)
    assert (await app.audit()).findings == ()


async def test_a_worker_asks_its_handlers_to_stop_at_the_deadline_and_the_job_fails(open_app: OpenApp) -> None:
    asked: list[str] = []

    @task
    def patient(context: TaskContext) -> str:
        assert context.wait(60)
        asked.append(context.task_id)
        return "after all"

    job = Job("patient", [Stage("wait", patient), Stage("sum", total, takes="wait")])
    app = await open_app(job, lease=3, reconcile=0.1, poll=0.05)
    async with working(app):
        submitted = await app.submit(job, deadline=7200)
        await until_event(app, submitted.id, "task_started")
        await rows(app, PASSED)
        row = await until_status(app, submitted.id, "failed", "completed", "cancelled")
    assert (row["status"], row["error"]["type"], len(asked)) == ("failed", "DeadlineExceeded", 1)
    assert "deadline of 7200 s" in row["error"]["message"]
    (one,) = await tasks_of(app, submitted.id)
    assert (one["status"], one["result"]) == ("completed", "after all")
    assert (await app.audit()).findings == ()


async def test_a_resumed_job_has_its_deadline_anew_and_keeps_what_had_completed(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1, 2])
    await rows(app, PASSED)
    await reconciler(app).run_once()
    await app.resume(job.id)
    (row,) = await rows(app, "SELECT extract(epoch FROM deadline_at - app.clock()) AS left FROM app.jobs")
    assert 3500 < row["left"] <= 3600
    await work(app)
    assert (await app.job(job.id))["result"] == 6


async def test_starting_a_job_does_not_move_its_deadline(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1])
    (before,) = await rows(app, "SELECT deadline_at FROM app.jobs")
    await handle_messages(app)
    (after,) = await rows(app, "SELECT status, deadline_at FROM app.jobs WHERE job_id = %s", job.id)
    assert (after["status"], after["deadline_at"]) == ("processing", before["deadline_at"])


async def test_a_job_past_its_deadline_while_its_finalizer_runs_fails_and_the_finalizer_is_too_late(
    open_app: OpenApp,
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def finalize(result: int) -> int:
        begun.set()
        await gate.wait()
        return result

    job = Job("finalized", [Stage("double", double, each="numbers")], finalize=finalize, deadline=3600)
    app = await open_app(job, reconcile=60)
    async with working(app):
        submitted = await app.submit(job, numbers=[1])
        async with asyncio.timeout(LONGEST):
            await begun.wait()
        await rows(app, PASSED)
        assert (await reconciler(app).run_once())["jobs_overdue"] == 1
        gate.set()
    status, _, message = await error_of(app, submitted.id)
    assert (status, message.split(": ")[1]) == ("failed", "its stages were complete, and it had not been finalized")
    assert (await counted_events(app, submitted.id))["job_completed"] == 0


async def test_cancelling_a_job_that_was_stopped_at_its_deadline_cancels_it(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1])
    await handle_messages(app)
    await claim_tasks(app)
    await rows(app, PASSED)
    await reconciler(app).run_once()
    assert await app.cancel(job.id, "no longer wanted") == "processing"
    await rows(app, "UPDATE app.tasks SET lease_expires_at = app.clock()")
    await reconciler(app).run_once()
    assert (await app.job(job.id))["status"] == "cancelled"
    (event,) = await events_of(app, job.id, "job_cancelled")
    assert event["event_data"]["reason"] == "no longer wanted"


async def test_of_two_reconcilers_that_found_the_same_job_one_asks_it_to_stop(
    open_app: OpenApp,
) -> None:
    app = await open_app(SUMS)
    job_id, _ = await held(app, SUMS, numbers=[1])
    await rows(app, PASSED)
    assert await end_overdue_job(app.database, app.bus, job_id)
    assert not await end_overdue_job(app.database, app.bus, job_id)
    assert (await counted_events(app, job_id))["stop_requested"] == 1

"""Why a job is where it is, asked of jobs in every kind of trouble and of none."""

import asyncio
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.app.diagnose import Diagnosis
from coremachine.runtime.errors import UnknownJobError
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.observing import rows
from tests.running import finished, work, working
from tests.waiting import until_event

A_MINUTE = Backoff(first=60, factor=1, most=60, jitter=0)
ALIVE = """INSERT INTO app.workers (worker, seen_at, runs, failures, found) VALUES ('w-1', app.clock(), 1, 0, '{}')
ON CONFLICT (worker) DO UPDATE SET seen_at = app.clock()"""
ALL_GONE = "UPDATE app.workers SET seen_at = app.clock() - interval '1 hour'"
QUEUED_AGAIN = """UPDATE app.tasks SET status = 'queued', due_at = app.clock(), lease_owner = NULL,
lease_expires_at = NULL WHERE status = 'processing'"""
HELD = """UPDATE app.tasks SET status = 'processing', due_at = NULL, started_at = app.clock(), lease_owner = %s,
lease_number = 7, lease_expires_at = app.clock() + %s::interval WHERE job_id = %s AND status = 'queued'"""


@task
def count_up(n: int) -> list[int]:
    return list(range(n))


@task
def refuse(number: int) -> NoReturn:
    raise ValueError(f"{number} is too much")


@task(retries=2, backoff=A_MINUTE)
def refuse_for_now() -> NoReturn:
    raise ConnectionError("later, perhaps")


@task
async def wait_for_ever(number: int) -> None:
    await asyncio.Event().wait()
    assert number


async def refuse_thanks(job_id: str) -> NoReturn:
    raise ConnectionError(f"nobody to thank for {job_id}")


COUNT = Job("count", [Stage("count", count_up)])
FAILING = Job("failing", [Stage("count", count_up), Stage("refuse", refuse, each="count")])
WAITING = Job("waiting", [Stage("try", refuse_for_now)])
HANGING = Job("hanging", [Stage("count", count_up), Stage("hang", wait_for_ever, each="count")])
UNTHANKED = Job(
    "unthanked",
    [Stage("count", count_up)],
    on_job_complete=refuse_thanks,
    callback_retries=1,
    callback_backoff=A_MINUTE,
)


def told(why: Diagnosis) -> str:
    """What the job waits for, in one line, without how many seconds the test has taken by then."""
    return re.sub(r"expired \d+ s ago", "expired N s ago", "; ".join(why.waits_for))


async def opened(app: AsyncCoreMachine, tasks: int = 2) -> str:
    """A job of whose second stage every task is queued, and whose workers are gone."""
    job = await app.submit(HANGING, n=tasks)
    async with working(app):
        await until_event(app, job.id, "checkpoint", number=3)
    await rows(app, ALL_GONE)
    await rows(app, QUEUED_AGAIN)
    return job.id


async def test_a_job_that_was_just_submitted_waits_for_a_worker(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, n=3)
    why = await app.why(job.id[:10])
    assert (why.job_id, why.status, why.verdict, why.held_by, why.until) == (job.id, "queued", "waiting", (), None)
    assert told(why).startswith("its message, due for ")
    assert told(why).endswith("no worker is alive")
    assert why.next_steps == ("coremachine worker --app MODULE",)
    assert (why.last_successful and why.last_successful.type, why.first_failure) == ("job_queued", None)


async def test_a_job_that_nobody_came_for_is_stalled(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, n=3)
    await rows(app, "UPDATE app.jobs SET due_at = app.clock() - interval '1 minute'")
    why = await app.why(job.id)
    assert (why.verdict, told(why)) == ("stalled", "its message, due for 60 s; no worker is alive")
    await rows(app, ALIVE)
    assert (await app.why(job.id)).verdict == "waiting"
    await rows(app, "UPDATE app.jobs SET due_at = app.clock() - interval '1 hour'")
    why = await app.why(job.id)
    assert (why.verdict, told(why)) == (
        "stalled",
        "its message, due for 60 min; workers alive: 1, but none runs jobs of type count",
    )


async def test_queued_tasks_wait_for_living_workers_and_are_stalled_without(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    job = await opened(app)
    await rows(app, "UPDATE app.tasks SET due_at = app.clock() - interval '1 minute' WHERE status = 'queued'")
    why = await app.why(job)
    assert (why.verdict, told(why)) == ("stalled", "2 tasks of stage 2 (hang) queued for 60 s; no worker is alive")
    await rows(app, ALIVE)
    why = await app.why(job)
    assert (why.verdict, told(why)) == ("waiting", "2 tasks of stage 2 (hang) queued for 60 s; workers alive: 1")
    assert why.next_steps == (f"coremachine timeline {job[:6]} --follow",)


async def test_a_long_backlog_that_moves_is_waiting_and_one_that_stands_is_stalled(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    job, other = await opened(app), await opened(app, tasks=1)
    await rows(app, ALIVE)
    await rows(app, "UPDATE app.tasks SET due_at = app.clock() - interval '1 hour' WHERE status = 'queued'")
    why = await app.why(job)
    assert why.verdict == "stalled"
    assert told(why).endswith("workers alive: 1, but none runs tasks of type wait_for_ever")
    await rows(app, HELD, "w-1", "1 minute", other)
    assert (await app.why(job)).verdict == "waiting"
    assert (await app.why(other)).verdict == "running"


async def test_a_running_job_names_its_worker_and_the_end_of_its_lease(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    async with working(app) as worker:
        job = await app.submit(HANGING, n=3)
        await until_event(app, job.id, "task_started", number=4)
        why = await app.why(job.id)
        assert (why.verdict, told(why)) == ("running", f"3 tasks of stage 2 (hang) running on {worker.name}")
        (holder,) = why.held_by
        assert (holder.worker, holder.lease_numbers) == (worker.name, (1, 1, 1))
        assert why.until == holder.until
        assert why.until is not None
        assert 0 < (why.until - datetime.now(UTC)).total_seconds() <= app.settings.lease
        await app.cancel(job.id)
        assert "asked to stop (cancel: cancelled by a user)" in told(await app.why(job.id))


async def test_a_job_is_running_while_any_of_its_tasks_is_and_stalled_before_it_is_waiting(open_app: OpenApp) -> None:
    app = await open_app(HANGING)
    job = await opened(app, tasks=3)
    await rows(app, "UPDATE app.tasks SET due_at = app.clock() - interval '1 minute' WHERE status = 'queued'")
    await rows(app, "UPDATE app.tasks SET due_at = app.clock() + interval '1 minute' WHERE task_number = 2")
    assert (await app.why(job)).verdict == "stalled"
    await rows(app, f"{HELD} AND task_number = 4", "w-1", "1 minute", job)
    why = await app.why(job)
    assert (why.verdict, len(why.waits_for)) == ("running", 3)


async def test_a_job_whose_worker_was_killed_waits_for_its_rescue(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    job = await opened(app)
    await rows(app, HELD, "w-dead", "-4 seconds", job)
    why = await app.why(job)
    lost = "the rescue of 2 tasks of stage 2 (hang): the lease of w-dead expired N s ago"
    assert (why.verdict, told(why)) == ("stalled", f"{lost}; no other worker is alive to do it")
    assert why.next_steps == ("coremachine worker --app MODULE",)
    await rows(app, ALIVE)
    why = await app.why(job)
    assert (why.verdict, told(why)) == ("waiting", f"{lost}; within 3.75 s")
    assert [(holder.worker, holder.lease_numbers) for holder in why.held_by] == [("w-dead", (7, 7))]
    assert why.until is not None


async def test_a_worker_whose_lease_ran_out_since_it_was_seen_is_not_alive(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    job = await opened(app)
    await rows(app, ALIVE)
    await rows(app, "UPDATE app.workers SET seen_at = app.clock() - interval '5 seconds'")
    await rows(app, HELD, "w-1", "-1 second", job)
    why = await app.why(job)
    lost = "the rescue of 2 tasks of stage 2 (hang): the lease of w-1 expired N s ago"
    assert (why.verdict, told(why), why.until) == ("stalled", f"{lost}; no other worker is alive to do it", None)
    await rows(app, ALIVE.replace("w-1", "w-2"))
    assert (await app.why(job)).verdict == "waiting"


async def test_a_worker_that_has_not_told_of_itself_in_time_is_not_alive(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0, lease=4.0, reconcile=2.0)
    job = await opened(app)
    await rows(app, HELD, "w-dead", "-1 second", job)
    await rows(app, ALIVE)
    await rows(app, "UPDATE app.workers SET seen_at = app.clock() - interval '6 seconds'")
    assert (await app.why(job)).verdict == "waiting"
    await rows(app, "UPDATE app.workers SET seen_at = app.clock() - interval '8 seconds'")
    assert (await app.why(job)).verdict == "stalled"


async def test_a_job_that_failed_in_its_second_stage_names_the_first_failure(open_app: OpenApp) -> None:
    app = await open_app(FAILING)
    job = await finished(app, FAILING, n=1)
    why = await app.why(job["job_id"])
    assert (why.verdict, why.waits_for, why.held_by, why.until) == ("failed", (), (), None)
    assert why.last_successful is not None
    assert (why.last_successful.type, why.last_successful.task_number) == ("task_started", 2)
    assert why.first_failure is not None
    assert (why.first_failure.type, why.first_failure.stage, why.first_failure.task_number) == ("task_failed", 2, 2)
    assert (why.error_type, why.error) == ("ValueError", "0 is too much")
    assert why.next_steps == (f"coremachine resume {job['job_id'][:6]}", "coremachine worker --app MODULE")


async def test_a_job_whose_callback_fails_has_completed_and_waits_for_the_retry(open_app: OpenApp) -> None:
    app = await open_app(UNTHANKED)
    async with working(app):
        job = await app.submit(UNTHANKED, n=1)
        await until_event(app, job.id, "callback_retry_scheduled")
        why = await app.why(job.id)
    assert (why.status, why.verdict) == ("completed", "completed")
    assert told(why).startswith("callback on_job_complete (attempt 2 of 2), to be retried in ")
    assert why.first_failure is not None
    assert why.first_failure.type == "callback_executed"
    assert (why.error or "").startswith("nobody to thank")
    assert why.until is not None
    await rows(app, "UPDATE app.callbacks SET due_at = app.clock()")
    await work(app)
    why = await app.why(job.id)
    assert (why.verdict, why.waits_for, why.until) == ("completed", (), None)
    assert why.next_steps == (f"coremachine timeline {job.id[:6]}",)


async def test_the_callback_of_a_killed_worker_waits_for_its_rescue(open_app: OpenApp) -> None:
    app = await open_app(UNTHANKED)
    job = await finished_but_for_the_callback(app)
    await rows(app, ALIVE)
    claim = "UPDATE app.callbacks SET status = 'processing', due_at = NULL, started_at = app.clock(), lease_number = 9,"
    await rows(app, f"{claim} lease_owner = 'w-2', lease_expires_at = app.clock() + interval '1 minute'")
    why = await app.why(job)
    assert (why.verdict, told(why)) == ("completed", "callback on_job_complete (attempt 2 of 2), running on w-2")
    assert [(holder.worker, holder.holds, holder.lease_numbers) for holder in why.held_by] == [
        ("w-2", "callback on_job_complete", (9,))
    ]
    await rows(app, "UPDATE app.callbacks SET lease_expires_at = app.clock() - interval '4 seconds'")
    assert told(await app.why(job)).startswith(
        "the rescue of callback on_job_complete: the lease of w-2 expired N s ago"
    )


async def finished_but_for_the_callback(app: AsyncCoreMachine) -> str:
    """A completed job whose callback has failed once."""
    async with working(app):
        job = await app.submit(UNTHANKED, n=1)
        await until_event(app, job.id, "callback_retry_scheduled")
    return job.id


async def test_a_cancelled_job_can_be_resumed(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, n=3)
    await app.cancel(job.id, "not wanted")
    why = await app.why(job.id)
    assert (why.status, why.verdict, why.waits_for, why.held_by) == ("cancelled", "cancelled", (), ())
    assert why.ended is not None
    assert (why.ended.type, why.ended.data["reason"]) == ("job_cancelled", "not wanted")
    assert why.next_steps == (f"coremachine resume {job.id[:6]}", "coremachine worker --app MODULE")
    await app.resume(job.id)
    assert (await app.why(job.id)).ended is None


async def test_a_job_that_waits_for_a_retry_tells_when_and_which_attempt(open_app: OpenApp) -> None:
    app = await open_app(WAITING)
    async with working(app):
        job = await app.submit(WAITING)
        retry = await until_event(app, job.id, "task_retry_scheduled")
        why = await app.why(job.id)
        assert why.verdict == "waiting"
        assert re.match(r"the retry of task-001 of stage 1 \(try\) in (59|60) s \(attempt 2 of 3\)", told(why))
    assert why.until is not None
    assert 59 < (why.until - retry["created_at"]).total_seconds() <= 60


async def test_a_completed_job_waits_for_nothing(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await finished(app, COUNT, n=3)
    why = await app.why(job["job_id"])
    assert (why.verdict, why.waits_for, why.held_by, why.until, why.next_steps) == ("completed", (), (), None, ())
    assert why.last_successful is not None
    assert why.last_successful.type == "job_completed"
    assert json.loads(json.dumps(asdict(why), default=str))["verdict"] == "completed"


async def test_a_job_without_stage_and_message_waits_for_a_reconciler(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, n=3)
    await rows(app, "UPDATE app.jobs SET status = 'processing', started_at = app.clock(), due_at = NULL")
    why = await app.why(job.id)
    assert why.verdict == "stalled"
    assert told(why).startswith("a message for the job, which has neither one nor an open stage")
    await rows(app, ALIVE)
    assert (await app.why(job.id)).verdict == "waiting"


async def test_a_stage_that_is_open_though_all_is_counted_waits_for_a_reconciler(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    job = await opened(app)
    await rows(app, "UPDATE app.stages SET tasks_open = 0, tasks_cancelled = 2 WHERE stage = 2")
    await rows(app, ALIVE)
    assert "the closing of stage 2 (hang): all its tasks are counted; within 3.75 s" in told(await app.why(job))


async def test_a_message_in_a_workers_hands_is_running(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, n=3)
    hold = "UPDATE app.jobs SET lease_owner = 'w-1', lease_number = 3, lease_expires_at = app.clock() + interval '9 s',"
    await rows(app, f"{hold} due_at = app.clock() + interval '9 s'")
    why = await app.why(job.id)
    assert (why.verdict, told(why)) == ("running", "its message, which w-1 is handling")
    assert [(holder.worker, holder.holds, holder.lease_numbers) for holder in why.held_by] == [("w-1", "message", (3,))]


async def test_a_job_that_nobody_knows_is_an_error(open_app: OpenApp) -> None:
    app = await open_app()
    with pytest.raises(UnknownJobError, match="no job has the id abc"):
        await app.why("abc")


async def test_a_job_with_a_deadline_tells_it_and_past_it_waits_for_a_reconciler(open_app: OpenApp) -> None:
    app = await open_app(COUNT)
    job = await app.submit(COUNT, deadline=1800, n=3)
    (row,) = await rows(app, "SELECT deadline_at FROM app.jobs")
    why = await app.why(job.id)
    assert (why.deadline, why.until) == (row["deadline_at"], row["deadline_at"])
    await rows(app, "UPDATE app.jobs SET deadline_at = app.clock() - interval '5 s'")
    await rows(app, ALIVE)
    assert re.search(r"its end: its deadline passed \d+ s ago; within 3.75 s", told(await app.why(job.id)))


async def test_a_task_that_was_asked_to_stop_runs_until_its_grace_is_over(open_app: OpenApp) -> None:
    app = await open_app(HANGING, grace=0.0)
    async with working(app):
        job = await app.submit(HANGING, n=1)
        await until_event(app, job.id, "task_started", number=2)
        await app.cancel(job.id)
        (stage,) = await rows(app, "SELECT stopped_at FROM app.stages WHERE stage = 2")
        why = await app.why(job.id)
    assert why.until is not None
    assert (why.until - stage["stopped_at"]).total_seconds() == app.settings.stop_grace

"""Poison: what the database or the machinery refuses again and again ends as a failure that is told, never for ever."""

import logging

import psycopg
import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.flow import retry_later
from coremachine.runtime.flow.flow import Flow
from coremachine.runtime.worker import job_messages
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.integration.lost_worker import GONE, claimed_messages, handle_messages, uncalled
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import finished, work, working
from tests.waiting import until_event, until_row, until_status

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
BROKEN = "UPDATE app.stages SET definition = '{}' WHERE stage = 1"
PUT_OFF = "SELECT 1 FROM app.jobs WHERE job_id = %s AND message_failures >= %s AND lease_owner IS NULL"
REFUSING = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'refused for the test' USING ERRCODE = TG_ARGV[0]; END $$;
CREATE TRIGGER a_refuse BEFORE UPDATE ON app.{table} FOR EACH ROW WHEN (NEW.status = 'completed' AND {rule})
  EXECUTE FUNCTION public.refuse('{state}')"""


@task
def double(number: int) -> int:
    return 2 * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


DOUBLES = Job("doubles", [Stage("double", double, each="numbers"), Stage("sum", total, gather="double")])


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_later, "BACKOFF", AT_ONCE)


async def submitted(app: AsyncCoreMachine) -> str:
    """A job whose first stage is damaged, so that no job message of it can be handled."""
    job = await app.submit(DOUBLES, numbers=[1, 2])
    await rows(app, BROKEN)
    return job.id


async def test_f27_a_job_message_that_can_never_be_handled_fails_its_job_with_the_reason(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES, poll=0.02)
    job_id = await submitted(app)
    await work(app)
    job = await app.job(job_id)
    assert (job["status"], job["error"]["type"]) == ("failed", "MessageNotHandled")
    assert "could not be handled 10 times; the last time KeyError: 'at_least'" in job["error"]["message"]
    assert "in at_least" in job["error"]["traceback"]
    assert [stage["status"] for stage in job["stages"]] == ["cancelled", "cancelled"]
    gaps = await events_of(app, job_id, "gap_found")
    assert [(gap["event_data"]["time"], gap["event_data"]["of"]) for gap in gaps] == [(n, 10) for n in range(1, 11)]
    (failed,) = await events_of(app, job_id, "job_failed")
    assert failed["event_data"]["error"]["type"] == "MessageNotHandled"
    assert (await app.audit(["GAP-9", "GAP-11", "GAP-18", "GAP-19"])).findings == ()


async def test_a_message_that_is_handled_after_all_begins_to_count_anew(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES, poll=0.02)
    job = await app.submit(DOUBLES, numbers=[1, 2])
    (whole,) = await rows(app, "SELECT definition::text AS text FROM app.stages WHERE stage = 1")
    await rows(app, BROKEN)
    async with working(app):
        await until_row(app, PUT_OFF, job.id, 2)
    await rows(app, "UPDATE app.stages SET definition = %s::jsonb WHERE stage = 1", whole["text"])
    await rows(app, "UPDATE app.jobs SET due_at = app.clock()")
    await handle_messages(app)
    (left,) = await rows(app, "SELECT status, message_failures FROM app.jobs")
    assert (left["status"], left["message_failures"]) == ("processing", None)
    await work(app)
    assert (await app.job(job.id))["result"] == 6


async def test_a_resumed_job_has_all_its_handlings_again(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES, poll=0.02)
    job_id = await submitted(app)
    await work(app)
    await app.resume(job_id)
    await work(app)
    counted = await counted_events(app, job_id)
    assert (counted["job_failed"], counted["gap_found"]) == (2, 20)


async def test_a_message_of_a_job_whose_stage_is_open_is_dropped_as_the_stage_sends_for_it(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES)
    job = await app.submit(DOUBLES, numbers=[1, 2])
    await handle_messages(app)
    await rows(app, "UPDATE app.jobs SET due_at = app.clock(), message_failures = 9")
    (message,) = await claimed_messages(app)
    flow = Flow(app.database, app.bus, GONE, uncalled)
    assert await retry_later.retry_later(flow, message, RuntimeError("after all")) == "stage 1 is open"
    (left,) = await rows(app, "SELECT status, due_at FROM app.jobs")
    assert (left["status"], left["due_at"]) == ("processing", None)
    await work(app)
    assert (await app.job(job.id))["result"] == 6


async def test_a_message_that_another_worker_has_meanwhile_is_not_put_off(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES)
    job = await app.submit(DOUBLES, numbers=[1, 2])
    (message,) = await claimed_messages(app)
    await rows(app, "UPDATE app.jobs SET lease_number = lease_number + 1, message_failures = 9")
    flow = Flow(app.database, app.bus, GONE, uncalled)
    assert "no longer holds the message" in await retry_later.retry_later(flow, message, RuntimeError("late"))
    assert (await app.job(job.id))["status"] == "queued"
    assert await events_of(app, job.id, "gap_found") == []


async def test_a_message_that_cannot_even_be_put_off_is_logged_and_comes_again_by_its_lease(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[str] = []

    async def cut_off(*_: object) -> str:
        lost.append("lost")
        raise psycopg.OperationalError("the connection is lost")

    app = await open_app(DOUBLES, poll=0.02, lease=0.5)
    monkeypatch.setattr(job_messages, "retry_later", cut_off)
    job_id = await submitted(app)
    with caplog.at_level(logging.ERROR):
        async with working(app):
            again = "SELECT 1 FROM app.jobs WHERE job_id = %s AND lease_number >= 2"
            await until_row(app, again, job_id)
    told = [record.getMessage() for record in caplog.records if "could not be handled" in record.getMessage()]
    assert lost
    assert len(told) == len(lost)
    assert "it is claimed again when its lease has expired: the connection is lost" in told[0]
    assert "worker's own" not in caplog.text


@pytest.mark.parametrize(("state", "kind"), [("22001", "StringDataRightTruncation"), ("54000", "ProgramLimitExceeded")])
async def test_an_outcome_that_the_database_will_never_take_fails_its_task_and_hurts_no_other(
    open_app: OpenApp, state: str, kind: str
) -> None:
    job = Job("doubles", [Stage("double", double, each="numbers", policy="finish_siblings")])
    app = await open_app(job, poll=0.05)
    await rows(app, REFUSING.format(table="tasks", rule="NEW.task_index = 1", state=state))
    row = await finished(app, job, numbers=[1, 2, 3])
    assert (row["status"], row["error"]["type"]) == ("failed", kind)
    assert [one["status"] for one in await tasks_of(app, row["job_id"])] == ["completed", "failed", "completed"]


async def test_f51_an_outcome_whose_statement_is_cancelled_is_held_and_hurts_no_other(open_app: OpenApp) -> None:
    job = Job("doubles", [Stage("double", double, each="numbers")])
    app = await open_app(job, poll=0.05)
    await rows(app, REFUSING.format(table="tasks", rule="NEW.task_index = 1", state="57014"))
    async with working(app):
        submitted = await app.submit(job, numbers=[1, 2, 3])
        await until_event(app, submitted.id, "task_completed", number=2)
        await rows(app, "DROP FUNCTION public.refuse() CASCADE")
        await until_status(app, submitted.id, "completed", "failed")
    counted = await counted_events(app, submitted.id)
    assert (counted["task_started"], counted["task_completed"], counted["job_completed"]) == (3, 3, 1)


async def test_the_outcome_of_a_callback_that_the_database_will_never_take_ends_as_a_failure(open_app: OpenApp) -> None:
    async def thank(job_id: str) -> None:
        assert job_id

    job = Job("thankful", [Stage("double", double, each="numbers")], on_job_complete=thank)
    app = await open_app(job, poll=0.05, lease=0.5, reconcile=0.1)
    await rows(app, REFUSING.format(table="callbacks", rule="true", state="57014"))
    async with working(app):
        owed = await app.submit(job, numbers=[1])
        await until_status(app, owed.id, "completed")
        await rows(app, "UPDATE app.callbacks SET rescues = max_rescues")
        failed = await until_row(app, "SELECT event_data FROM app.callbacks WHERE status = 'failed'")
    assert failed["event_data"]["error"]["type"] == "LeaseExpired"


async def test_a_task_that_cannot_be_prepared_fails_and_keeps_no_other_from_running(open_app: OpenApp) -> None:
    app = await open_app(DOUBLES)
    broken = await app.submit(DOUBLES, numbers=[1], key="broken")
    await handle_messages(app)
    undefined = (
        """UPDATE app.stages SET definition = '{"kind": "each", "policy": "fail_fast", "backoff": [0, 1, 0, 0]}'"""
    )
    await rows(app, f"{undefined} WHERE job_id = %s AND stage = 1", broken.id)
    sound = await app.submit(DOUBLES, numbers=[1, 2, 3])
    await work(app)
    assert (await app.job(sound.id))["result"] == 12
    failed = await app.job(broken.id)
    assert (failed["status"], failed["error"]["type"], failed["error"]["message"]) == (
        "failed",
        "KeyError",
        "'timeout'",
    )

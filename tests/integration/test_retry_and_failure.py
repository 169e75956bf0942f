"""Attempts that fail: retries with back-off, and errors that are told whatever they are made of."""

import asyncio
from datetime import date
from typing import Any, NoReturn

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import finished, work, working
from tests.waiting import until_event

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
MINUTES = Backoff(first=60, factor=3, most=600, jitter=0)

AUDIT = """
CREATE TABLE public.changes (n BIGINT GENERATED ALWAYS AS IDENTITY, was TEXT, became TEXT, attempt INT, due_s FLOAT8);
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO public.changes (was, became, attempt, due_s)
  VALUES (OLD.status, NEW.status, NEW.attempt, extract(epoch FROM NEW.due_at - app.clock()));
  RETURN NULL; END $$;
CREATE TRIGGER z_audit AFTER UPDATE ON app.tasks FOR EACH ROW EXECUTE FUNCTION public.audit()
"""


@task
def describe(day: date) -> str:
    return f"{day:%d.%m.%Y}"


class Unspeakable(Exception):  # noqa: N818 - its name is what is told
    """An error whose own text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


async def failed_with(app: AsyncCoreMachine, error: BaseException, **options: Any) -> dict[str, Any]:
    """The error of the one task of a job whose handler raised `error`, as its row and its event tell it."""

    @task(**options)
    def fail() -> NoReturn:
        raise error

    job = Job("failing", [Stage("fail", fail)])
    app.jobs = {job.name: job}
    row = await finished(app, job)
    assert row["status"] == "failed"
    (stage,), (one,) = row["stages"], await tasks_of(app, row["job_id"])
    (event,) = await events_of(app, row["job_id"], "task_failed")
    assert (stage["status"], one["status"], one["error"]) == ("failed", "failed", event["event_data"]["error"])
    assert row["error"]["message"] == stage["error"]["message"] == one["error"]["message"]
    told: dict[str, Any] = one["error"]
    return told


async def test_a_task_is_tried_again_until_it_succeeds_and_every_attempt_is_told(open_app: OpenApp) -> None:
    attempts: list[int] = []

    @task(retries=3, backoff=AT_ONCE)
    def third_time() -> int:
        attempts.append(len(attempts) + 1)
        if len(attempts) < 3:
            raise OSError(f"attempt {len(attempts)} failed")
        return len(attempts)

    job = Job("flaky", [Stage("try", third_time)])
    app = await open_app(job, poll=0.05)
    row = await finished(app, job)
    assert (row["status"], row["result"], attempts) == ("completed", 3, [1, 2, 3])
    told = await events_of(app, row["job_id"], "task_started", "task_retry_scheduled", "task_completed", "task_failed")
    assert [(event["event_type"], event["attempt"]) for event in told] == [
        ("task_started", 1),
        ("task_retry_scheduled", 1),
        ("task_started", 2),
        ("task_retry_scheduled", 2),
        ("task_started", 3),
        ("task_completed", 3),
    ]
    retry = told[1]
    assert retry["event_status"] == "warning"
    assert (retry["event_data"]["attempt"], retry["event_data"]["of"]) == (1, 4)
    assert retry["event_data"]["error"]["message"] == "attempt 1 failed"
    assert retry["event_data"]["delay_s"] == 0.01


async def test_f31_a_task_that_fails_every_time_fails_once_and_its_history_stays(open_app: OpenApp) -> None:
    app = await open_app(poll=0.05)
    error = await failed_with(app, OSError("the disk is full"), retries=2, backoff=AT_ONCE)
    assert (error["type"], error["message"]) == ("OSError", "the disk is full")
    assert "raise error" in error["traceback"]
    (job,) = await app.list_jobs()
    (last,) = await events_of(app, job["job_id"], "task_failed")
    assert (last["attempt"], last["event_status"]) == (3, "failure")
    retries = await events_of(app, job["job_id"], "task_retry_scheduled")
    assert [event["attempt"] for event in retries] == [1, 2]
    assert all(event["event_data"]["error"]["message"] == "the disk is full" for event in retries)


async def test_f09_attempt_and_back_off_are_written_by_one_statement(open_app: OpenApp) -> None:
    @task(retries=1, backoff=MINUTES)
    def fail() -> NoReturn:
        raise OSError("later")

    job = Job("patient", [Stage("fail", fail)])
    app = await open_app(job)
    await rows(app, AUDIT)
    async with working(app):
        submitted = await app.submit(job)
        retry = await until_event(app, submitted.id, "task_retry_scheduled")
        (waiting,) = await tasks_of(app, submitted.id)
    changes = await rows(app, "SELECT was, became, attempt, due_s FROM public.changes WHERE was <> became ORDER BY n")
    assert [(change["was"], change["became"], change["attempt"]) for change in changes] == [
        ("queued", "processing", 1),
        ("processing", "queued", 2),
    ]
    assert 55 < changes[1]["due_s"] <= 60
    assert (waiting["status"], waiting["attempt"], waiting["lease_owner"]) == ("queued", 2, None)
    assert 55 < (waiting["due_at"] - retry["created_at"]).total_seconds() <= 60


async def test_the_back_off_grows_with_the_attempt(open_app: OpenApp) -> None:
    @task(retries=2, backoff=MINUTES)
    def fail() -> NoReturn:
        raise OSError("later")

    job = Job("patient", [Stage("fail", fail)])
    app = await open_app(job, poll=0.05)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_retry_scheduled")
        await rows(app, "UPDATE app.tasks SET due_at = app.clock()")
        await until_event(app, submitted.id, "task_retry_scheduled", number=2)
    retries = await events_of(app, submitted.id, "task_retry_scheduled")
    assert [event["event_data"]["delay_s"] for event in retries] == [60, 180]


async def test_arguments_that_cannot_be_converted_fail_the_task_without_another_attempt(open_app: OpenApp) -> None:
    @task(name="describe_with_retries", retries=5)
    def describe_day(day: date) -> str:
        return describe(day)

    job = Job("dated", [Stage("describe", describe_day, each="days")])
    app = await open_app(job)
    row = await finished(app, job, days=["the day before yesterday"])
    (one,) = await tasks_of(app, row["job_id"])
    assert (one["status"], one["attempt"], one["error"]["type"]) == ("failed", 1, "ArgumentError")
    assert "describe_with_retries cannot be called with the arguments of its job" in one["error"]["message"]
    assert "the day before yesterday" in one["error"]["message"]


@pytest.mark.parametrize("text", ["half a \x00 text", "half a \ud800 text"])
async def test_f45_an_error_text_that_postgresql_cannot_keep_is_cleaned_and_told(open_app: OpenApp, text: str) -> None:
    app = await open_app(poll=0.05)
    error = await failed_with(app, ValueError(text), retries=1, backoff=AT_ONCE)
    assert error["message"].startswith("half a ")
    assert error["message"].endswith(" text")
    (job,) = await app.list_jobs()
    assert (await counted_events(app, job["job_id"]))["task_retry_scheduled"] == 1


async def test_an_error_without_words_is_told_by_its_type(open_app: OpenApp) -> None:
    app = await open_app()
    error = await failed_with(app, Unspeakable())
    assert error["type"] == "Unspeakable"
    assert "its text is not available: RuntimeError" in error["message"]


async def test_a_huge_error_text_is_cut_in_the_middle(open_app: OpenApp) -> None:
    app = await open_app()
    error = await failed_with(app, ValueError("begin" + "x" * 5_000_000 + "end"))
    assert len(error["message"]) < 2_100
    assert error["message"].startswith("begin")
    assert error["message"].endswith("end")
    assert "characters left out" in error["message"]
    assert len(error["traceback"]) < 8_100


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(1)])
async def test_an_exception_that_would_end_a_program_fails_the_task_and_not_the_worker(
    open_app: OpenApp, error: BaseException
) -> None:
    app = await open_app()
    told = await failed_with(app, error)
    assert type(error).__name__ in f"{told['type']} {told['message']}"


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
async def test_an_async_handler_that_raises_what_ends_loops_fails_its_task_alone(
    open_app: OpenApp, error: BaseException
) -> None:
    @task
    async def fail() -> NoReturn:
        raise error

    @task
    def succeed() -> str:
        return "still here"

    bad, good = Job("bad", [Stage("fail", fail)]), Job("good", [Stage("succeed", succeed)])
    app = await open_app(bad, good)
    failed = await app.submit(bad)
    row = await finished(app, good)
    assert (row["status"], row["result"]) == ("completed", "still here")
    (one,) = await tasks_of(app, failed.id)
    assert (one["status"], one["attempt"], one["lease_number"]) == ("failed", 1, 1)
    assert type(error).__name__ in f"{one['error']['type']} {one['error']['message']}"


async def test_a_task_that_ended_is_not_started_again_by_another_worker(open_app: OpenApp) -> None:
    app = await open_app()
    await failed_with(app, OSError("once"))
    await work(app)
    (job,) = await app.list_jobs()
    assert (await counted_events(app, job["job_id"]))["task_started"] == 1

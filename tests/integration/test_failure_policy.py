"""A task that fails for good ends its stage and its job, under the policy that the stage declares."""

from threading import Event

import psycopg
import pytest

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.store.session import Row
from coremachine.statemachine.retry import Backoff
from coremachine.statemachine.task import Task
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import finished, working
from tests.waiting import until_event, until_status

MISCOUNTED = """
SELECT s.stage FROM app.stages AS s CROSS JOIN LATERAL (
  SELECT count(*) AS total, count(*) FILTER (WHERE t.status = 'completed') AS completed,
         count(*) FILTER (WHERE t.status = 'failed') AS failed,
         count(*) FILTER (WHERE t.status = 'cancelled') AS cancelled
  FROM app.tasks AS t WHERE t.stage_id = s.stage_id) AS n
WHERE (s.tasks_total, s.tasks_completed, s.tasks_failed, s.tasks_cancelled)
  IS DISTINCT FROM (n.total, n.completed, n.failed, n.cancelled)
"""


def hold_back(url: str) -> None:
    """Nobody claims the tasks that are queued now: what becomes of them is up to the failure policy."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE app.tasks SET due_at = due_at + interval '1 hour' WHERE status = 'queued'")


def fails_at_two(url: str) -> Task[..., int]:
    """A handler that fails for 2, while its siblings still wait."""

    @task
    def fail_at_two(number: int) -> int:
        if number == 2:
            hold_back(url)
            raise ValueError("two is refused")
        return number

    return fail_at_two


@task
def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("two is refused")
    return number


@task
def gather(items: list[int]) -> list[int]:
    return items


async def ended(app: AsyncCoreMachine, job_id: str) -> Row:
    """The job and its stages once it has failed, with counters that agree with the tasks."""
    await until_status(app, job_id, "failed")
    assert not await rows(app, MISCOUNTED)
    row = await app.job(job_id)
    assert not any(stage["status"] in {"pending", "processing"} for stage in row["stages"])
    return row


async def test_f11_under_fail_fast_siblings_that_wait_are_cancelled_and_say_why(open_app: OpenApp, url: str) -> None:
    stages = [Stage("work", fails_at_two(url), each="numbers"), Stage("all", gather, gather="work")]
    job = Job("fast", [*stages, Stage("end", gather, takes="all")])
    app = await open_app(job, concurrency=1, prefetch=0)
    row = await finished(app, job, numbers=[1, 2, 3, 4, 5, 6])
    row = await ended(app, row["job_id"])
    tasks = await tasks_of(app, row["job_id"])
    assert [one["status"] for one in tasks] == ["completed", "failed"] + ["cancelled"] * 4
    told = await events_of(app, row["job_id"], "task_cancelled")
    assert {event["task_id"] for event in told} == {one["task_id"] for one in tasks[2:]}
    assert all(event["event_data"]["reason"] == "fail_fast" for event in told)
    assert all(event["event_data"]["why"] == "a task of this stage failed" for event in told)
    assert [stage["status"] for stage in row["stages"]] == ["failed", "cancelled", "cancelled"]
    assert (row["error"]["message"], row["error"]["task_number"]) == ("two is refused", 2)
    skipped = await events_of(app, row["job_id"], "stage_cancelled")
    assert [(event["stage"], event["event_data"]["reason"]) for event in skipped] == [
        (2, "stage 1 (work) failed"),
        (3, "stage 1 (work) failed"),
    ]


async def test_f11_siblings_stage_and_job_end_in_the_transaction_of_the_failure(open_app: OpenApp, url: str) -> None:
    job = Job("at_once", [Stage("work", fails_at_two(url), each="numbers"), Stage("all", gather, gather="work")])
    app = await open_app(job, concurrency=1, prefetch=0)
    row = await finished(app, job, numbers=[2, 3, 4])
    told = await events_of(
        app, row["job_id"], "task_failed", "task_cancelled", "stage_failed", "stage_cancelled", "job_failed"
    )
    assert len({event["transaction_id"] for event in told}) == 1
    assert [event["event_type"] for event in told] == [
        "task_failed",
        "task_cancelled",
        "task_cancelled",
        "stage_failed",
        "stage_cancelled",
        "job_failed",
    ]


@pytest.mark.parametrize("obeys", [True, False], ids=["that stops", "that goes on"])
async def test_under_fail_fast_a_running_sibling_is_asked_to_stop_and_ends_when_it_ends(
    open_app: OpenApp,
    url: str,
    obeys: bool,  # noqa: FBT001 - pytest gives it
) -> None:
    begun, asked, go_on = Event(), Event(), Event()

    @task
    def either(number: int, context: TaskContext) -> int:
        if number == 0:
            assert begun.wait(30)
            hold_back(url)
            raise ValueError("zero is refused")
        begun.set()
        assert context.wait(30)
        asked.set()
        assert go_on.wait(30)
        if obeys:
            context.raise_if_cancelled()
        return number

    job = Job("running", [Stage("work", either, each="numbers"), Stage("all", gather, gather="work")])
    app = await open_app(job, concurrency=2, prefetch=0, lease=0.6)
    async with working(app):
        submitted = await app.submit(job, numbers=[0, 1, 2, 3])
        stop = await until_event(app, submitted.id, "stop_requested")
        assert stop["event_data"] == {
            "reason": "fail_fast",
            "why": "a task of this stage failed",
            "running": 1,
        }
        assert (await app.job(submitted.id))["status"] == "processing"
        go_on.set()
        row = await ended(app, submitted.id)
    assert asked.is_set()
    statuses = [one["status"] for one in await tasks_of(app, submitted.id)]
    assert statuses == ["failed", "cancelled" if obeys else "completed", "cancelled", "cancelled"]
    assert row["error"]["message"] == "zero is refused"
    told = (await events_of(app, submitted.id, "task_cancelled"))[-1]
    assert told["event_data"]["reason"] == "fail_fast"


async def test_under_fail_fast_a_sibling_that_fails_while_stopping_is_not_tried_again(open_app: OpenApp) -> None:
    begun = Event()

    @task(retries=5, backoff=Backoff(first=0.01, most=0.01))
    def either(number: int, context: TaskContext) -> None:
        if number == 0:
            assert begun.wait(30)
            raise ValueError("zero is refused") if context.attempt == 6 else OSError("again")
        begun.set()
        assert context.wait(30)
        raise OSError("one fails, too")

    job = Job("both", [Stage("work", either, each="numbers")])
    app = await open_app(job, concurrency=2, prefetch=0, lease=0.6, poll=0.05)
    row = await finished(app, job, numbers=[0, 1])
    tasks = await tasks_of(app, row["job_id"])
    assert [(one["status"], one["attempt"]) for one in tasks] == [("failed", 6), ("failed", 1)]
    assert row["error"]["message"] == "zero is refused"


async def test_under_fail_fast_a_task_that_was_claimed_ahead_never_starts_its_handler(open_app: OpenApp) -> None:
    ran: list[int] = []

    @task
    def record(number: int, context: TaskContext) -> None:
        ran.append(number)
        if number == 0:
            raise ValueError("zero is refused")
        assert context.wait(30)

    job = Job("ahead", [Stage("work", record, each="numbers")])
    app = await open_app(job, concurrency=2, prefetch=6, lease=0.6)
    row = await finished(app, job, numbers=list(range(8)))
    await ended(app, row["job_id"])
    assert len(ran) <= 3, "the one that failed, the one beside it, and the one that took its place meanwhile"
    statuses = [one["status"] for one in await tasks_of(app, row["job_id"])]
    assert statuses[0] == "failed"
    assert {statuses[number] for number in range(8) if number not in ran} == {"cancelled"}


async def test_f11_under_finish_siblings_all_others_finish_before_the_job_fails(open_app: OpenApp) -> None:
    patient = Stage("work", fail_at_two, each="numbers", policy="finish_siblings")
    job = Job("patient", [patient, Stage("all", gather, gather="work")])
    app = await open_app(job, concurrency=1, prefetch=0)
    row = await finished(app, job, numbers=[2, 1, 3, 2, 4])
    row = await ended(app, row["job_id"])
    assert [one["status"] for one in await tasks_of(app, row["job_id"])] == [
        "failed",
        "completed",
        "completed",
        "failed",
        "completed",
    ]
    assert [stage["status"] for stage in row["stages"]] == ["failed", "cancelled"]
    assert row["error"]["task_number"] == 1
    counted = await counted_events(app, row["job_id"])
    assert (counted["task_started"], counted["task_cancelled"], counted["stop_requested"]) == (5, 0, 0)
    last_three = [event["event_type"] for event in await events_of(app, row["job_id"])][-3:]
    assert last_three == ["stage_failed", "stage_cancelled", "job_failed"]


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_failure_in_any_stage_keeps_what_came_before_and_cancels_what_comes_after(
    open_app: OpenApp, failing: int
) -> None:
    def part(number: int) -> Task[..., int]:
        @task(name=f"part_{number}")
        def run() -> int:
            if number == failing:
                raise ValueError(f"part {number} is refused")
            return number

        return run

    job = Job("parts", [Stage(f"part{number}", part(number)) for number in (1, 2, 3)])
    app = await open_app(job)
    row = await finished(app, job)
    row = await ended(app, row["job_id"])
    expected = ["completed"] * (failing - 1) + ["failed"] + ["cancelled"] * (3 - failing)
    assert [stage["status"] for stage in row["stages"]] == expected
    assert row["error"]["message"] == f"part {failing} is refused"
    (failed,) = await events_of(app, row["job_id"], "job_failed")
    assert (failed["event_data"]["stage"], failed["event_data"]["stage_name"]) == (failing, f"part{failing}")

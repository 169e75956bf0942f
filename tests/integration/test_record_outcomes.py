"""What became of tasks is written once, whole, and by whoever still holds them."""

import asyncio
from itertools import pairwise
from threading import Barrier, Event
from typing import Any

import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.executor.batch_completer import LARGEST_BACKLOG
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.session import Row
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Subject, machine_of
from coremachine.statemachine.tables import TASKS
from tests.databases import OpenApp
from tests.observing import events_of, rows, tasks_of
from tests.running import finished, finished_with_short_leases, working
from tests.waiting import until, until_event, until_status

CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'coremachine' AND pid <> pg_backend_pid()
"""
AUDIT = """
CREATE TABLE public.changes (n BIGINT GENERATED ALWAYS AS IDENTITY, stage INT, was TEXT, became TEXT, ended_before INT,
                             ended INT, total INT, command TEXT, transaction_id XID8 DEFAULT pg_current_xact_id());
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO public.changes (stage, was, became, ended_before, ended, total, command)
  VALUES (NEW.stage, OLD.status, NEW.status, OLD.tasks_total - OLD.tasks_open, NEW.tasks_total - NEW.tasks_open,
          NEW.tasks_total, (SELECT s.cmin FROM app.stages AS s WHERE s.stage_id = NEW.stage_id));
  RETURN NULL; END $$;
CREATE TRIGGER z_audit AFTER UPDATE ON app.stages FOR EACH ROW EXECUTE FUNCTION public.audit()
"""


@task
def give(value: Any) -> Any:
    return value


@task
def double(number: int) -> int:
    return 2 * number


@task
def gather(items: list[Any]) -> list[Any]:
    return items


async def take_over(app: AsyncCoreMachine, one: Row) -> None:
    """What happens to a task whose worker seems lost: it is rescued, and another worker claims it."""
    machine, subject = machine_of(TASK), Subject(one["task_id"], "processing")
    rescue = machine.fire(subject, "rescue", {"lease_number": one["lease_number"], "delay": 0.0})
    claim = Claim(record=TASKS, types=[one["task_type"]], limit=1, owner="another", lease=60)
    async with app.database.transaction() as session:
        await session.must_apply(TASKS, rescue)
        (claimed,) = await claim_due(session, claim)
    assert claimed["lease_number"] == one["lease_number"] + 1


@pytest.mark.parametrize("succeeds", [True, False], ids=["a result", "a failure"])
async def test_f05_f06_a_late_outcome_overwrites_nothing_and_is_kept_as_an_event(
    open_app: OpenApp,
    succeeds: bool,  # noqa: FBT001 - pytest gives it
) -> None:
    gate = Event()

    @task
    def be_late() -> str:
        assert gate.wait(30)
        if not succeeds:
            raise ValueError("too late")
        return "too late"

    job = Job("late", [Stage("late", be_late)])
    app = await open_app(job)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_started")
        await take_over(app, (await tasks_of(app, submitted.id))[0])
        before = await tasks_of(app, submitted.id)
        gate.set()
        stale = await until_event(app, submitted.id, "stale_result_rejected")
        after, row = await tasks_of(app, submitted.id), await app.job(submitted.id)
    assert after == before
    assert (after[0]["status"], after[0]["lease_owner"], after[0]["result"]) == ("processing", "another", None)
    assert (row["status"], row["stages"][0]["tasks_completed"], row["stages"][0]["tasks_failed"]) == (
        "processing",
        0,
        0,
    )
    assert (stale["event_status"], stale["lease_number"], stale["attempt"]) == ("warning", 1, 1)
    assert stale["event_data"]["outcome"] == ("completed" if succeeds else "failed")


async def test_gap_1_a_connection_lost_while_a_result_is_written_loses_nothing(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def wait_at_the_gate(number: int) -> int:
        assert gate.wait(30)
        return number

    job = Job("gated", [Stage("wait", wait_at_the_gate, each="numbers"), Stage("all", gather, gather="wait")])
    app = await open_app(job)
    async with working(app):
        submitted = await app.submit(job, numbers=[1, 2, 3])
        await until_event(app, submitted.id, "task_started", number=3)
        cut = await rows(app, CUT_OFF)
        gate.set()
        ended = await until_status(app, submitted.id, "completed", "failed")
    assert cut
    assert (ended["status"], ended["result"]) == ("completed", [1, 2, 3])
    completed = await events_of(app, submitted.id, "task_completed")
    assert [event["lease_number"] for event in completed] == [1] * 4


async def test_gap_1_a_result_is_held_while_the_database_refuses_to_answer(open_app: OpenApp) -> None:
    """The transaction that writes it is cut off again and again, in its midst; the lease is kept all the while."""
    job = Job("held", [Stage("double", double, each="numbers"), Stage("all", gather, gather="double")])
    app = await open_app(job, lease=0.6)
    await rows(app, "CREATE SEQUENCE public.tries")
    await rows(
        app,
        """
        CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
          IF nextval('public.tries') <= 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
          RETURN NEW; END $$;
        CREATE TRIGGER a_cut BEFORE UPDATE ON app.tasks FOR EACH ROW WHEN (NEW.status = 'completed')
        EXECUTE FUNCTION public.cut()
        """,
    )
    row = await finished_with_short_leases(app, job, numbers=[1, 2, 3])
    assert (row["status"], row["result"]) == ("completed", [2, 4, 6])
    (tries,) = await rows(app, "SELECT last_value FROM public.tries")
    assert tries["last_value"] > 3
    assert {one["lease_number"] for one in await tasks_of(app, row["job_id"])} == {1}


async def test_one_outcome_that_cannot_be_written_does_not_hurt_the_others(open_app: OpenApp) -> None:
    barrier = Barrier(6)

    @task
    def meet(number: int) -> int:
        barrier.wait(30)
        return number

    stages = [Stage("meet", meet, each="numbers", policy="finish_siblings"), Stage("all", gather, gather="meet")]
    job = Job("poisoned", stages)
    app = await open_app(job, concurrency=6)
    await rows(app, "ALTER TABLE app.tasks ADD CONSTRAINT poison CHECK (result::text <> '13')")
    row = await finished(app, job, numbers=[10, 11, 12, 13, 14, 15])
    tasks = await tasks_of(app, row["job_id"], 1)
    assert [one["status"] for one in tasks] == ["completed"] * 3 + ["failed"] + ["completed"] * 2
    assert [one["result"] for one in tasks] == [10, 11, 12, None, 14, 15]
    assert "poison" in tasks[3]["error"]["message"]
    assert (row["status"], row["error"]["task_number"]) == ("failed", 4)
    assert row["stages"][0]["tasks_completed"] == 5


async def test_f02_gap_2_the_stage_closes_and_sends_for_the_next_in_the_transaction_of_its_last_task(
    open_app: OpenApp,
) -> None:
    job = Job("two", [Stage("double", double, each="numbers"), Stage("all", gather, gather="double")])
    app = await open_app(job, concurrency=1)
    row = await finished(app, job, numbers=[1, 2, 3])
    told = [event for event in await events_of(app, row["job_id"]) if event["stage"] == 1]
    last_task = [event for event in told if event["event_type"] == "task_completed"][-1]
    with_it = [event for event in told if event["transaction_id"] == last_task["transaction_id"]]
    names = [event["event_type"] for event in with_it if event["event_type"] != "task_completed"]
    assert names == ["checkpoint", "stage_completed"]
    assert with_it[-2]["event_data"] == {"name": "closing stage", "tasks": 3}
    checkpoints = await events_of(app, row["job_id"], "checkpoint")
    assert [(event["stage"], event["event_data"]["name"]) for event in checkpoints] == [
        (1, "opened stage"),
        (1, "closing stage"),
        (2, "opened stage"),
        (2, "closing stage"),
    ]


async def test_f02_gap_2_a_stage_that_cannot_close_does_not_lose_its_last_task_in_silence(open_app: OpenApp) -> None:
    job = Job("stuck", [Stage("give", give), Stage("again", give)])
    app = await open_app(job)
    await rows(app, "ALTER TABLE app.stages ADD CONSTRAINT open_for_ever CHECK (status <> 'completed')")
    row = await finished(app, job, value=1)
    assert (row["status"], row["stages"][0]["status"], row["stages"][1]["status"]) == ("failed", "failed", "cancelled")
    assert "open_for_ever" in row["error"]["message"]
    (one,) = await tasks_of(app, row["job_id"])
    assert (one["status"], one["result"]) == ("failed", None)


async def test_f47_no_statement_changes_a_stage_twice_and_its_last_task_closes_it_by_a_later_one(
    open_app: OpenApp,
) -> None:
    job = Job("counted", [Stage("double", double, each="numbers"), Stage("all", gather, gather="double")])
    app = await open_app(job, concurrency=3)
    await rows(app, AUDIT)
    row = await finished(app, job, numbers=list(range(40)))
    assert row["status"] == "completed"
    changes = await rows(app, "SELECT * FROM public.changes ORDER BY n")
    commands = {(change["stage"], change["transaction_id"], change["command"]) for change in changes}
    assert len(commands) == len(changes), "a statement changes a stage at most once"
    for stage, tasks in ((1, 40), (2, 1)):
        opened, *counted, closed = [change for change in changes if change["stage"] == stage]
        assert (opened["was"], opened["became"], opened["ended"]) == ("pending", "processing", 0)
        for before, change in pairwise((opened, *counted, closed)):
            assert (change["was"], change["ended_before"]) == (before["became"], before["ended"]), "no change is lost"
        assert {change["became"] for change in counted} == {"processing"}
        assert (closed["was"], closed["became"], closed["total"]) == ("processing", "completed", tasks)
        assert (counted[-1]["ended_before"] < tasks, counted[-1]["ended"], closed["ended"]) == (True, tasks, tasks)
        assert closed["transaction_id"] == counted[-1]["transaction_id"]


async def test_a_worker_claims_no_more_while_what_it_has_done_cannot_be_written(open_app: OpenApp) -> None:
    job = Job("blocked", [Stage("give", double, each="numbers")])
    app = await open_app(job)
    many = 6 * LARGEST_BACKLOG
    submitted = await app.submit(job, numbers=list(range(many)))
    claimed = "SELECT count(*) AS n FROM app.job_events WHERE event_type = 'task_started'"
    async with working(app):
        await until_event(app, submitted.id, "task_completed")
        async with app.database.transaction() as other:
            await other.fetch("flow/lock_jobs", {"job_ids": [submitted.id]})

            async def stands_still() -> bool:
                (before,) = await rows(app, claimed)
                await asyncio.sleep(2)
                (after,) = await rows(app, claimed)
                return bool(before == after)

            await until(stands_still, "nothing more is claimed")
            (held,) = await rows(app, "SELECT count(*) AS n FROM app.tasks WHERE status = 'processing'")
        await until_status(app, submitted.id, "completed", within=120)
    assert LARGEST_BACKLOG <= held["n"] <= LARGEST_BACKLOG + app.settings.prefetch + 2 * app.settings.concurrency

"""The audit: a database damaged by hand, one damage a check, each found by its check alone, with its remedy."""

import asyncio
from typing import NoReturn, cast

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app.audit import UnknownGapError, checks
from coremachine.runtime.store.session import Session
from coremachine.statemachine.gaps import Gap
from coremachine.statemachine.lifecycles import LIFECYCLES
from coremachine.statemachine.records import Record
from coremachine.statemachine.register import GAPS, GapConstraint
from coremachine.statemachine.retry import Backoff
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.databases import OpenApp
from tests.integration.damages import (
    ALIVE,
    DAMAGES,
    Damage,
    a_job_message_waits_too_long,
    a_stage_counts_a_task_too_many,
    a_stage_has_lost_its_job,
    a_task_is_queued_before_its_stage_is_open,
    a_task_is_queued_though_its_stage_is_closed,
    a_task_waits_too_long,
    by_hand,
    every_reconciler_is_silent,
    open_stage,
    unguarded,
)
from tests.integration.rows import move, prepare, row_in, run
from tests.observing import events_of
from tests.running import finished, work, working
from tests.waiting import until_event

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
BY_ID = {gap.id: gap for gap in GAPS}


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task(retries=1, backoff=AT_ONCE)
def double(number: int) -> int:
    return 2 * number


@task(retries=1, backoff=AT_ONCE)
def refuse(number: int) -> NoReturn:
    raise ValueError(f"{number} is too much")


async def thank(job_id: str) -> None:
    assert job_id


async def refuse_thanks(job_id: str) -> NoReturn:
    raise ConnectionError(f"nobody to thank for {job_id}")


def plan(count: int) -> NoReturn:
    raise ValueError(f"{count} cannot be planned")


UNPLANNED = Job("unplanned", [Stage("double", double, each=plan)])
GOOD = Job("good", [Stage("numbers", numbers), Stage("double", double, each="numbers")], on_job_complete=thank)
BAD = Job("bad", [Stage("numbers", numbers), Stage("refuse", refuse, each="numbers"), Stage("last", numbers)])
UNTHANKED = Job(
    "unthanked",
    [Stage("numbers", numbers)],
    on_job_complete=refuse_thanks,
    callback_retries=0,
    callback_backoff=AT_ONCE,
)


def named(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, cast("tuple[object, ...]", value)))
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("gaps", "done"), DAMAGES, ids=named)
async def test_a_damage_is_found_by_its_check_alone_which_names_the_remedy(
    open_app: OpenApp, session: Session, gaps: tuple[str, ...], done: Damage
) -> None:
    app = await open_app()
    await run(session, "SET coremachine.repairing = 'on'")
    await done(session)
    audit = await app.audit()
    assert sorted(found.id for found in audit.findings) == sorted(gaps)
    for found in audit.findings:
        assert found.count == len(found.examples)
        assert (found.severity, found.remedy) == (BY_ID[found.id].severity, BY_ID[found.id].remedy)
        assert found.remedy
        assert all(example.subject and example.detail for example in found.examples)
    worst = audit.findings[0].severity
    assert audit.trouble == (None if worst == "info" else worst)


def test_every_check_of_the_audit_has_a_damage() -> None:
    assert {gap for gaps, _ in DAMAGES for gap in gaps} == {check.id for check in checks()}


async def test_a_database_on_which_jobs_really_ran_is_clean(open_app: OpenApp) -> None:
    app = await open_app(GOOD, BAD, poll=0.05)
    assert (await finished(app, GOOD, count=5))["status"] == "completed"
    assert (await finished(app, BAD, count=3))["status"] == "failed"
    (bad,) = await app.list_jobs(job_type="bad")
    await app.resume(bad["job_id"])
    assert (await app.audit()).findings == ()
    await work(app)
    cancelled = await app.submit(GOOD, count=7)
    await app.cancel(cancelled.id)
    audit = await app.audit()
    assert (audit.trouble, audit.findings) == (None, ())
    assert audit.checked == tuple(check.id for check in checks())


async def test_gap_15_a_fan_out_that_raises_fails_its_job_and_leaves_no_gap(open_app: OpenApp) -> None:
    app = await open_app(UNPLANNED)
    job = await finished(app, UNPLANNED, count=3)
    assert (job["status"], job["error"]["message"]) == ("failed", "3 cannot be planned")
    assert [stage["status"] for stage in job["stages"]] == ["failed"]
    assert (await app.audit()).findings == ()


async def test_a_database_is_clean_while_jobs_run(open_app: OpenApp) -> None:
    app = await open_app(GOOD, BAD, poll=0.05)
    async with working(app):
        jobs = [await app.submit(job, key=str(key), count=40) for key in range(5) for job in (GOOD, BAD)]
        for job in jobs:
            await until_event(app, job.id, "stage_completed")
            assert (await app.audit()).findings == ()


async def test_nothing_at_all_is_clean(open_app: OpenApp) -> None:
    assert (await (await open_app()).audit()).findings == ()


async def test_a_callback_that_was_given_up_is_found_with_its_error(open_app: OpenApp) -> None:
    app = await open_app(UNTHANKED, poll=0.05)
    job = await finished(app, UNTHANKED, count=1)
    (found,) = (await app.audit()).findings
    (example,) = found.examples
    assert (found.id, example.job_id) == ("GAP-13", job["job_id"])
    assert "nobody to thank" in example.detail


async def test_a_message_that_waits_is_told_with_whether_anybody_could_come(
    open_app: OpenApp, session: Session
) -> None:
    app = await open_app()
    await a_job_message_waits_too_long(session)
    (found,) = (await app.audit()).findings
    assert (found.id, found.severity) == ("GAP-8", "medium")
    assert "workers alive: 1" in found.examples[0].detail
    await run(session, "DELETE FROM {schema}.workers")
    nobody, found = (await app.audit()).findings
    assert (nobody.id, nobody.severity, nobody.examples[0].subject) == ("GAP-20", "high", "workers")
    assert "no worker is alive" in found.examples[0].detail


async def test_a_stuck_worker_does_not_count_as_one_that_could_come(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await a_job_message_waits_too_long(session)
    await run(session, """UPDATE {schema}.workers SET loops = '{"producer of jobs": {"stuck_s": 12.5}}'""")
    found = {one.id: one.examples[0] for one in (await app.audit()).findings}
    assert "no worker is alive" in found["GAP-8"].detail
    assert found["GAP-20"].detail == "stuck, and no other worker is alive"
    assert (found["GAP-32"].subject, found["GAP-32"].detail) == (
        "worker w-1, producer of jobs",
        "stuck: it has waited 12.5 s for an answer of the server",
    )


async def test_work_that_waits_only_just_is_no_finding(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await open_stage(session)
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() - interval '20 s'")
    assert (await app.audit()).findings == ()


async def test_a_dead_worker_among_living_ones_is_no_finding(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await every_reconciler_is_silent(session)
    await run(session, ALIVE.replace("w-1", "w-2"))
    assert (await app.audit()).findings == ()


async def test_a_reconciler_that_failed_and_works_again_is_no_finding(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await run(session, ALIVE)
    await run(session, 'UPDATE {schema}.workers SET failures = 7, last_error = \'{"message": "cut off"}\'')
    assert (await app.audit()).findings == ()


async def test_audit_and_why_wait_for_no_lock_on_rows(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    job = await open_stage(session)
    async with session.connection.transaction(), asyncio.timeout(20):
        for table in ("jobs", "stages", "tasks", "job_events"):
            assert await run(session, f"SELECT * FROM {{schema}}.{table} FOR UPDATE")  # noqa: S608 - the names stand above
        assert (await app.audit()).findings == ()
        assert (await app.why(job)).verdict == "waiting"


async def test_of_many_rows_twenty_are_shown_and_all_are_counted(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await open_stage(session, tasks=25)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() - interval '1 hour'")
    (found,) = (await app.audit()).findings
    assert (found.count, len(found.examples)) == (25, 20)


async def test_only_the_checks_that_were_asked_for_are_run(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await a_stage_counts_a_task_too_many(session)
    assert (await app.audit(["GAP-11"])).findings == ()
    audit = await app.audit(["GAP-10", "GAP-11"])
    assert (audit.checked, [found.id for found in audit.findings]) == (("GAP-10", "GAP-11"), ["GAP-10"])
    with pytest.raises(UnknownGapError, match=r"no check GAP-1;.*GAP-8"):
        await app.audit(["GAP-1"])


async def test_the_worst_finding_comes_first(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    await a_stage_counts_a_task_too_many(session)
    await a_task_waits_too_long(session)
    audit = await app.audit()
    assert [found.id for found in audit.findings] == ["GAP-10", "GAP-8"]
    assert audit.trouble == "critical"


async def test_a_finding_becomes_an_event_of_its_job_where_that_is_asked_for(
    open_app: OpenApp, session: Session
) -> None:
    app = await open_app()
    job = await open_stage(session, tasks=2)
    await run(session, "UPDATE {schema}.stages SET tasks_open = 1, tasks_completed = 1")
    await app.audit()
    assert await events_of(app, job, "gap_found") == []
    await app.audit(record=True)
    (event,) = await events_of(app, job, "gap_found")
    assert event["event_data"]["gap"].startswith("GAP-10: ")


@pytest.mark.parametrize(
    "done", [a_task_is_queued_before_its_stage_is_open, a_task_is_queued_though_its_stage_is_closed], ids=named
)
async def test_gap_9_an_orphaned_task_is_removed_by_the_owners_repair_which_keeps_it_in_a_note(
    open_app: OpenApp, session: Session, done: Damage
) -> None:
    app = await open_app()
    await run(session, "SET coremachine.repairing = 'on'")
    await done(session)
    (task,) = await run(session, "SELECT task_id, job_id FROM {schema}.tasks")
    await run(session, "SELECT {schema}.repair_job(%(job)s)", {"job": task["job_id"]})
    assert (await app.audit(["GAP-9", "GAP-10"])).findings == ()
    (event,) = await events_of(app, task["job_id"], "gap_found")
    assert event["event_data"]["row"]["task_id"] == task["task_id"]


async def test_a_finding_whose_job_is_gone_cannot_become_an_event_and_hinders_nothing(
    open_app: OpenApp, session: Session
) -> None:
    app = await open_app()
    await a_stage_has_lost_its_job(session)
    assert [found.id for found in (await app.audit(record=True)).findings] == ["GAP-9"]


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda one: one.name)
async def test_every_way_through_a_lifecycle_replays(open_app: OpenApp, session: Session, lifecycle: object) -> None:
    app = await open_app()
    record = next(one for one in app.schema.records if one.lifecycle is lifecycle)
    for edge in record.lifecycle.edges:
        subject = await row_in(session, record, edge.source)
        await prepare(session, record, subject.key, edge.target)
        await move(session, record, subject, edge.transition.trigger)
    assert (await app.audit(["GAP-11"])).findings == ()


@pytest.mark.parametrize(
    ("record", "name"),
    [(JOBS, "job"), (STAGES, "stage 1"), (TASKS, "task {key}"), (CALLBACKS, "callback")],
    ids=lambda value: getattr(value, "table", ""),
)
async def test_gap_11_a_finding_names_the_job_and_the_row(
    open_app: OpenApp, session: Session, record: Record, name: str
) -> None:
    app, initial = await open_app(), record.lifecycle.initial.name
    row = await row_in(session, record, "processing")
    (job,) = await run(session, "SELECT job_id FROM {schema}.jobs")
    (first,) = (
        edge.transition.event.type
        for edge in record.lifecycle.edges
        if edge.source == initial and edge.target == row.state
    )
    async with unguarded(session):
        await run(session, "DELETE FROM {schema}.job_events WHERE event_type = %(first)s", {"first": first})
    (found,) = (await app.audit(["GAP-11"])).findings
    assert [(one.job_id, one.subject, one.detail) for one in found.examples] == [
        (job["job_id"], name.format(key=row.key), f"it is processing; its events lead to {initial}")
    ]


async def test_gap_11_events_without_a_row_are_found_with_their_job(open_app: OpenApp, session: Session) -> None:
    app = await open_app()
    row = await row_in(session, TASKS, "processing")
    (job,) = await run(session, "SELECT job_id FROM {schema}.jobs")
    await by_hand(session, "DELETE FROM {schema}.tasks")
    (found,) = (await app.audit(["GAP-11"])).findings
    assert [(one.job_id, one.subject, one.detail) for one in found.examples] == [
        (job["job_id"], f"task {row.key}", "it has events but no row")
    ]


def test_a_constraint_of_the_register_is_looked_for_by_its_name() -> None:
    constrained: list[Gap] = [gap for gap in checks() if isinstance(gap, GapConstraint)]
    assert [gap.enforced_by for gap in constrained] == [
        "tasks_lease_owner_tied",
        "stages_closed_when_counted",
        "tasks_pkey",
    ]

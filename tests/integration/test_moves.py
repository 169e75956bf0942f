"""Moves and claims on a real server: sets of rows, one winner each, fenced, in one lock order."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest

from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.session import Row, Session, event_parameters
from coremachine.sql_generator.moves import move_statement
from coremachine.sql_generator.queues import claim_by_key_statement
from coremachine.statemachine.errors import DefinitionError, LostRaceError
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Move, Subject, machine_of
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.integration.rows import (
    EVENT_DATA,
    GIVEN,
    events_of,
    insert_row,
    move,
    open_session,
    row_in,
    row_of,
    run,
    update,
    values_of,
)
from tests.waiting import until


async def tasks_in(session: Session, state: str, number: int, **columns: object) -> list[Subject]:
    """Tasks of one stage, `number` of them, all in one state, in task order."""
    task_type = columns.get("task_type", "add")
    job = (await insert_row(session, JOBS)).key
    stage = int((await row_in(session, STAGES, "processing", job_id=job, task_type=task_type)).key)
    parents = {"job_id": job, "stage_id": stage, **columns}
    return [
        await row_in(session, TASKS, state, task_id=f"{stage}-{i}", task_index=i, task_number=i + 1, **parents)
        for i in range(number)
    ]


async def fired(session: Session, subjects: Sequence[Subject], trigger: str) -> list[Move]:
    machine = machine_of(TASK)
    return [machine.fire(one, trigger, await values_of(session, TASKS, one), EVENT_DATA) for one in subjects]


async def claim(session: Session, kinds: Sequence[str], limit: int = 100) -> list[Row]:
    return await claim_due(session, Claim(record=TASKS, types=kinds, limit=limit, owner="me", lease=60.0))


async def clock_stands(session: Session, later: timedelta) -> None:
    """From here on the database's clock says the same: now, and `later`."""
    [row] = await run(session, "SELECT clock_timestamp() + %(later)s AS moment", {"later": later})
    await run(
        session,
        "CREATE OR REPLACE FUNCTION {schema}.clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE"
        f" AS $body$ SELECT timestamptz '{row['moment'].isoformat()}' $body$",
    )


async def test_a_set_of_moves_wins_some_rows_and_loses_others(session: Session) -> None:
    tasks = await tasks_in(session, "processing", 4)
    moves = await fired(session, tasks, "complete")
    await run(
        session,
        "UPDATE {schema}.tasks SET status = 'cancelled', lease_owner = NULL, lease_expires_at = NULL,"
        " deadline_at = NULL, finished_at = now() WHERE task_id = %(key)s",
        {"key": tasks[1].key},
    )
    won = await session.apply(TASKS, moves)
    assert won == {tasks[0].key, tasks[2].key, tasks[3].key}
    assert (await row_of(session, TASKS, tasks[1].key))["status"] == "cancelled"
    for task in tasks:
        last = [event["event_type"] for event in await events_of(session, TASKS, task.key)][-1]
        assert last == ("task_completed" if task.key in won else "task_cancelled")


async def test_each_row_of_a_set_gets_its_own_values_and_event(session: Session) -> None:
    tasks = await tasks_in(session, "processing", 3)
    machine = machine_of(TASK)
    moves = [
        machine.fire(task, "complete", {"lease_number": 1, "result": f"[{i}]"}, {"number": i})
        for i, task in reversed(list(enumerate(tasks)))
    ]
    assert await session.apply(TASKS, moves) == {task.key for task in tasks}
    for i, task in enumerate(tasks):
        assert (await row_of(session, TASKS, task.key))["result"] == [i]
        assert (await events_of(session, TASKS, task.key))[-1]["event_data"] == {"number": i}


async def test_the_events_of_a_set_are_those_of_its_moved_rows(session: Session) -> None:
    tasks = await tasks_in(session, "processing", 5)
    await session.apply(TASKS, await fired(session, tasks, "complete"))
    rows = await run(
        session,
        "SELECT t.task_id FROM {schema}.tasks t JOIN {schema}.job_events e ON e.task_id = t.task_id"
        " AND (e.job_id, e.stage, e.attempt, e.lease_number) = (t.job_id, t.stage, t.attempt, t.lease_number)"
        " AND (e.event_type, e.event_status, e.event_data) = (t.event_type, t.event_status, t.event_data)"
        " WHERE e.event_type = 'task_completed'",
    )
    assert sorted(row["task_id"] for row in rows) == sorted(task.key for task in tasks)


async def test_a_move_made_twice_wins_once(session: Session) -> None:
    [task] = await tasks_in(session, "processing", 1)
    [again] = await fired(session, [task], "complete")
    assert await session.apply(TASKS, [again]) == {task.key}
    assert await session.apply(TASKS, [again]) == set()
    with pytest.raises(LostRaceError, match=f"task.complete lost the race for {task.key}") as lost:
        await session.must_apply(TASKS, again)
    assert (lost.value.machine, lost.value.trigger, lost.value.keys) == ("task", "complete", (task.key,))
    types = [event["event_type"] for event in await events_of(session, TASKS, task.key)]
    assert types.count("task_completed") == 1


@pytest.mark.parametrize("trigger", ["complete", "fail", "retry", "release", "rescue", "cancel"])
@pytest.mark.parametrize("lease_number", [0, 2])
async def test_a_late_outcome_does_not_pass_the_fence_f06(session: Session, trigger: str, lease_number: int) -> None:
    [task] = await tasks_in(session, "processing", 1)
    before = await row_of(session, TASKS, task.key)
    late = machine_of(TASK).fire(task, trigger, {**GIVEN, "lease_number": lease_number}, EVENT_DATA)
    assert await session.apply(TASKS, [late]) == set()
    assert await row_of(session, TASKS, task.key) == before


async def test_a_lease_number_rises_with_every_claim(session: Session) -> None:
    [task] = await tasks_in(session, "queued", 1)
    for number in (1, 2, 3):
        [claimed] = await claim(session, ["add"])
        assert (claimed["key"], claimed["lease_number"]) == (task.key, number)
        task.state = "processing"
        await move(session, TASKS, task, "release")


async def test_a_claim_takes_due_rows_only(session: Session) -> None:
    tasks = await tasks_in(session, "queued", 2)
    await update(session, TASKS, tasks[0].key, {"due_at": "now() + interval '1 hour'"})
    assert [row["key"] for row in await claim(session, ["add"])] == [tasks[1].key]
    assert await claim(session, ["add"]) == []
    await clock_stands(session, timedelta(hours=2))
    assert [row["key"] for row in await claim(session, ["add"])] == [tasks[0].key]


async def test_a_claim_takes_the_kinds_that_were_named_and_no_others_f46(session: Session) -> None:
    adds = await tasks_in(session, "queued", 1, task_type="add")
    doubles = await tasks_in(session, "queued", 1, task_type="double")
    await tasks_in(session, "queued", 1, task_type="of a later release")
    assert await claim(session, []) == []
    assert [row["key"] for row in await claim(session, ["double", "unknown"])] == [doubles[0].key]
    assert [row["key"] for row in await claim(session, ["add", "double"])] == [adds[0].key]


async def test_a_claim_takes_the_longest_due_first_and_no_more_than_asked(session: Session) -> None:
    for plan in ("indexscan", "bitmapscan"):
        await run(session, f"SET enable_{plan} = off")  # an index would give its own order, asked or not
    tasks = await tasks_in(session, "queued", 5)
    for minutes, task in enumerate(tasks):
        await update(session, TASKS, task.key, {"due_at": f"now() - interval '{minutes} minutes'"})
    claimed = [{row["key"] for row in await claim(session, ["add"], limit=2)} for _ in range(3)]
    assert claimed == [{tasks[4].key, tasks[3].key}, {tasks[2].key, tasks[1].key}, {tasks[0].key}]


async def test_rows_due_at_once_are_claimed_in_task_order(session: Session) -> None:
    tasks = await tasks_in(session, "queued", 12)
    await run(session, "UPDATE {schema}.tasks SET due_at = now()")
    claimed = [(await claim(session, ["add"], limit=1))[0]["key"] for _ in tasks]
    assert claimed == [task.key for task in tasks]


async def test_the_limit_holds_for_all_kinds_together(session: Session) -> None:
    await tasks_in(session, "queued", 3, task_type="add")
    await tasks_in(session, "queued", 3, task_type="double")
    assert len(await claim(session, ["add", "double"], limit=4)) == 4


async def test_claims_of_two_connections_are_disjoint_and_do_not_wait(session: Session, url: str) -> None:
    tasks = await tasks_in(session, "queued", 6)
    async with open_session(url) as other:
        await run(other, "SET lock_timeout = '5s'")
        async with session.connection.transaction():
            first = {row["key"] for row in await claim(session, ["add"], limit=4)}
            second = {row["key"] for row in await claim(other, ["add"], limit=4)}
    assert (len(first), len(second)) == (4, 2)
    assert first | second == {task.key for task in tasks}


@pytest.mark.parametrize("record", [TASKS, CALLBACKS], ids=lambda record: record.table)
async def test_a_claim_by_key_takes_the_rows_named_if_nobody_had_them_since(session: Session, record: Record) -> None:
    named, unnamed, late, had = [await insert_row(session, record) for _ in range(4)]
    await run(session, "SET coremachine.repairing = 'on'")
    await update(session, record, late.key, {"due_at": "now() + interval '1 hour'", "send_number": "3"})
    await update(session, record, had.key, {"lease_number": "1"})
    event = machine_of(record.lifecycle).fire(Subject("*", "queued"), "claim").event
    given = {
        "keys": [late.key, named.key, had.key],
        "lease_numbers": [0, 0, 0],
        "types": ["add", "sums"],
        "lease_owner": "me",
        "lease": 60.0,
    }
    statement = claim_by_key_statement(record, session.schema)
    claimed = await run(session, statement, {**given, **event_parameters(event)})
    assert {row["key"] for row in claimed} == {named.key, late.key}
    assert await run(session, statement, {**given, **event_parameters(event)}) == []
    assert (await row_of(session, record, unnamed.key))["status"] == "queued"
    assert (await row_of(session, record, had.key))["status"] == "queued"
    assert (await row_of(session, record, late.key))["send_number"] == 0


async def test_a_claim_leases_the_row_and_starts_its_deadline(session: Session) -> None:
    await clock_stands(session, timedelta(0))
    [task] = await tasks_in(session, "queued", 1, timeout=timedelta(minutes=10))
    await claim(session, ["add"])
    row = await row_of(session, TASKS, task.key)
    [moment] = [one["moment"] for one in await run(session, "SELECT {schema}.clock() AS moment")]
    assert (row["lease_owner"], row["due_at"], row["started_at"]) == ("me", None, moment)
    assert row["lease_expires_at"] == moment + timedelta(seconds=60)
    assert row["deadline_at"] == moment + timedelta(minutes=10)


@pytest.mark.parametrize("record", [TASKS, CALLBACKS], ids=lambda record: record.table)
async def test_a_retry_counts_and_waits_in_one_statement_f09(session: Session, record: Record) -> None:
    await clock_stands(session, timedelta(0))
    subject = await row_in(session, record, "processing")
    before = await row_of(session, record, subject.key)
    values = {"lease_number": before["lease_number"], "delay": 90.0}
    retry = machine_of(record.lifecycle).fire(subject, "retry", values, EVENT_DATA)
    assert await session.apply(record, [retry]) == {subject.key}
    after = await row_of(session, record, subject.key)
    [moment] = [one["moment"] for one in await run(session, "SELECT {schema}.clock() AS moment")]
    assert (after["attempt"], after["due_at"]) == (before["attempt"] + 1, moment + timedelta(seconds=90))
    assert (after["lease_owner"], after["lease_expires_at"], after["rescues"]) == (None, None, 0)
    assert (await events_of(session, record, subject.key))[-1]["attempt"] == before["attempt"]


@pytest.mark.parametrize(("trigger", "attempts", "rescues"), [("release", 0, 0), ("rescue", 0, 1), ("retry", 1, 0)])
async def test_only_a_retry_counts_an_attempt_and_only_a_rescue_a_rescue(
    session: Session, trigger: str, attempts: int, rescues: int
) -> None:
    task = await row_in(session, TASKS, "processing")
    await move(session, TASKS, task, trigger)
    row = await row_of(session, TASKS, task.key)
    assert (row["attempt"] - 1, row["rescues"]) == (attempts, rescues)


async def test_a_retry_beyond_the_last_attempt_is_refused(session: Session) -> None:
    task = await row_in(session, TASKS, "processing", max_attempts=1)
    with pytest.raises(psycopg.errors.CheckViolation, match="tasks_attempts"):
        await session.apply(TASKS, await fired(session, [task], "retry"))


async def test_a_resume_is_a_new_attempt_with_as_many_to_come_as_at_first_f21(session: Session) -> None:
    task = await row_in(session, TASKS, "failed", max_attempts=1)
    values = {**GIVEN, "max_attempts": 3}
    await session.must_apply(TASKS, machine_of(TASK).fire(task, "resume", values, EVENT_DATA))
    row = await row_of(session, TASKS, task.key)
    assert (row["status"], row["attempt"], row["max_attempts"], row["error"]) == ("queued", 2, 4, None)


async def test_a_waiting_set_holds_none_of_its_later_rows_f38(session: Session, url: str) -> None:
    """Locks are taken in the order of the keys, whatever the order of the set: so two sets cannot wait in a ring."""
    first, *rest = await tasks_in(session, "processing", 4)
    moves = list(reversed(await fired(session, [first, *rest], "complete")))
    async with open_session(url) as batch, open_session(url) as witness:
        async with session.connection.transaction():
            await run(session, "SELECT 1 FROM {schema}.tasks WHERE task_id = %(key)s FOR UPDATE", {"key": first.key})
            applying = asyncio.create_task(batch.apply(TASKS, moves))
            await waits_for_a_lock(witness, batch)
            keys = [task.key for task in rest]
            free = "SELECT 1 FROM {schema}.tasks WHERE task_id = ANY(%(keys)s) FOR UPDATE NOWAIT"
            await run(witness, free, {"keys": keys})
        assert await applying == {first.key, *keys}


async def waits_for_a_lock(witness: Session, other: Session) -> None:
    """Return once the server says that the other session waits for somebody's lock."""
    pid = other.connection.info.backend_pid
    await until(lambda: run(witness, "SELECT 1 FROM unnest(pg_blocking_pids(%(pid)s))", {"pid": pid}), "a lock wait")


async def test_opposed_sets_over_the_same_rows_do_not_deadlock_f38(session: Session, url: str) -> None:
    tasks = await tasks_in(session, "processing", 40)
    async with open_session(url) as left, open_session(url) as right:
        for _ in range(5):
            moves = await fired(session, tasks, "release")
            won = await asyncio.gather(left.apply(TASKS, moves), right.apply(TASKS, moves[::-1]))
            assert won[0] | won[1] == {task.key for task in tasks}
            assert not won[0] & won[1]
            assert len(await claim(session, ["add"])) == len(tasks)
            for task in tasks:
                task.state = "processing"
    told = await run(session, "SELECT 1 FROM {schema}.job_events WHERE event_type = 'task_released'")
    assert len(told) == 5 * len(tasks)


async def test_a_sweep_moves_what_stands_in_its_source_state_and_says_how_many(session: Session) -> None:
    queued, running, done = await tasks_in(session, "queued", 3)
    for task, trigger in ((running, "claim"), (done, "claim"), (done, "complete")):
        await move(session, TASKS, task, trigger)
    others = await tasks_in(session, "queued", 1)
    stage = (await row_of(session, TASKS, queued.key))["stage_id"]
    sweep = machine_of(TASK).fire(Subject("*", "queued"), "cancel", data={"reason": "fail_fast"})
    assert await session.sweep(TASKS, sweep, "stage_id", stage) == 1
    assert await session.sweep(TASKS, sweep, "stage_id", stage) == 0
    states = [(await row_of(session, TASKS, task.key))["status"] for task in (queued, running, done, others[0])]
    assert states == ["cancelled", "processing", "completed", "queued"]
    assert (await events_of(session, TASKS, queued.key))[-1]["event_data"] == {"reason": "fail_fast"}


def test_a_trigger_that_nobody_declared_has_no_statement() -> None:
    with pytest.raises(DefinitionError, match=r"task\.explode: 0 transitions have this trigger"):
        move_statement(TASKS, "explode")


async def test_a_statement_has_one_moment_for_all_its_rows(session: Session) -> None:
    await tasks_in(session, "queued", 20)
    won = await claim(session, ["add"])
    subjects = [Subject(row["key"], "processing") for row in won]
    assert len(await session.apply(TASKS, await fired(session, subjects, "complete"))) == 20
    moments = "SELECT count(DISTINCT started_at) AS begun, count(DISTINCT finished_at) AS ended FROM {schema}.tasks"
    assert await run(session, moments) == [{"begun": 1, "ended": 1}]

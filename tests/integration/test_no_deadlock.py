"""Batches over several jobs and stages wait for each other, and never in a ring (F38)."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import ClaimedTask
from coremachine.runtime.store.session import Row, Session
from coremachine.sql_generator.queues import renew_statement
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, TASKS
from tests.databases import OpenApp
from tests.integration.lost_worker import handle_messages
from tests.integration.rows import open_session, run
from tests.waiting import until

ME = "me"
ROUNDS = 15
LOCKED = "SELECT {key} FROM {{schema}}.{table} WHERE {key}::text = %(key)s FOR NO KEY UPDATE"
FREE = "SELECT {key} FROM {{schema}}.{table} WHERE {key}::text = ANY(%(keys)s) FOR NO KEY UPDATE NOWAIT"
KEYS = "SELECT {key}::text AS key FROM {{schema}}.{table} ORDER BY {key}"
HOLD = """
SET coremachine.repairing = 'on';
UPDATE {schema}.jobs SET due_at = app.clock(), lease_owner = 'me', lease_expires_at = app.clock();
SET session_replication_role = replica; -- here jobs have callbacks that have not completed
INSERT INTO {schema}.callbacks (job_id, job_type, name) SELECT job_id, job_type, 'tell' FROM {schema}.jobs;
UPDATE {schema}.callbacks SET status = 'processing', due_at = NULL, lease_owner = 'me', lease_number = 1,
                              lease_expires_at = app.clock(), started_at = app.clock();
SET session_replication_role = origin;
SET coremachine.repairing = 'off'
"""
RENEWALS = [
    (TASKS, "tasks", "task_id"),
    (JOBS, "jobs", "job_id"),
    (CALLBACKS, "callbacks", "callback_id"),
]


@task
def one(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


BATCHED = Job("batched", [Stage("each", one, each="numbers"), Stage("sum", total, gather="each")])


@pytest_asyncio.fixture
async def app(open_app: OpenApp) -> AsyncCoreMachine:
    """Three jobs, each with an open stage of four tasks."""
    app = await open_app(BATCHED)
    for key in "abc":
        await app.submit(BATCHED, key=key, numbers=[1, 2, 3, 4])
    await handle_messages(app)
    return app


@pytest_asyncio.fixture
async def witness(url: str) -> AsyncIterator[Session]:
    """The owner's session."""
    async with open_session(url) as session:
        yield session


@pytest_asyncio.fixture
async def observer(url: str) -> AsyncIterator[Session]:
    """A session to ask who waits: inside a transaction the server's answer would stay that of the first time."""
    async with open_session(url) as session:
        yield session


async def claim_all(app: AsyncCoreMachine) -> list[ClaimedTask]:
    """Every task there is, in the order of their keys."""
    claim = Claim(record=TASKS, types=list(BATCHED.tasks), limit=100, owner=ME, lease=60)
    async with app.database.session() as session:
        return sorted((ClaimedTask(**row) for row in await claim_due(session, claim)), key=lambda claimed: claimed.key)


async def settled(app: AsyncCoreMachine, tasks: Sequence[ClaimedTask]) -> set[str]:
    """Give the tasks back, as one batch."""
    outcomes = [Outcome(task=one, kind="released", reason="a test") for one in tasks]
    async with app.database.transaction() as session:
        return await record_outcomes(session, app.bus, outcomes, ME)


async def all_wait(observer: Session, number: int) -> None:
    """Return once so many connections wait for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def found() -> bool:
        return len(await run(observer, waiting)) >= number

    await until(found, f"{number} connections that wait for a lock")


async def keys_in(witness: Session, table: str, key: str) -> list[str]:
    """The keys of every row, in their order."""
    keys: list[Row] = await run(witness, KEYS.format(table=table, key=key))
    return [row["key"] for row in keys]


async def test_f38_opposed_batches_over_stages_of_several_jobs_never_deadlock(
    app: AsyncCoreMachine, witness: Session, observer: Session
) -> None:
    jobs = await keys_in(witness, "jobs", "job_id")
    for number in range(ROUNDS):
        tasks = await claim_all(app)
        assert len({one.stage_id for one in tasks}) == 3
        async with witness.connection.transaction():
            await run(witness, LOCKED.format(table="jobs", key="job_id"), {"key": jobs[number % 3]})
            batches = tasks[::2], tasks[::-2], tasks[::-1]
            settling = [asyncio.create_task(settled(app, batch)) for batch in batches]
            await all_wait(observer, len(settling))
        won = await asyncio.gather(*settling)
        assert set().union(*won) == {one.key for one in tasks}
        assert sum(map(len, won)) == len(tasks), "each task was given back by one batch"


@pytest.mark.parametrize(("table", "key"), [("jobs", "job_id"), ("stages", "stage_id"), ("tasks", "task_id")])
async def test_f38_a_batch_that_waits_for_a_row_holds_none_that_comes_after_it(
    app: AsyncCoreMachine, witness: Session, observer: Session, table: str, key: str
) -> None:
    tasks = await claim_all(app)
    order = ["jobs", "stages", "tasks"]
    names = {"jobs": "job_id", "stages": "stage_id", "tasks": "task_id"}
    keys = {name: await keys_in(witness, name, names[name]) for name in order}
    keys["stages"] = sorted({str(one.stage_id) for one in tasks}, key=int)
    async with witness.connection.transaction():
        await run(witness, LOCKED.format(table=table, key=key), {"key": keys[table][0]})
        settling = asyncio.create_task(settled(app, tasks[::-1]))
        await all_wait(observer, 1)
        for later in order[order.index(table) :]:
            free = keys[later][1:] if later == table else keys[later]
            await run(observer, FREE.format(table=later, key=names[later]), {"keys": free})
    assert await settling == {one.key for one in tasks}


@pytest.mark.parametrize(("record", "table", "key"), RENEWALS)
async def test_f38_a_renewal_waits_for_no_row_while_it_holds_another(
    app: AsyncCoreMachine, witness: Session, record: Record, table: str, key: str
) -> None:
    await make_leases(app, witness)
    keys = await keys_in(witness, table, key)
    async with witness.connection.transaction():
        await run(witness, LOCKED.format(table=table, key=key), {"key": keys[0]})
        numbers, begun = [1] * len(keys), [True] * len(keys)
        given = {"owner": ME, "lease": 60.0, "keys": keys[::-1], "lease_numbers": numbers, "begun": begun}
        async with app.database.session() as session:
            renewed = await asyncio.wait_for(session.statement(renew_statement(record, session.schema), given), 10)
    assert sorted(row["key"] for row in renewed) == sorted(keys[1:]), "the others do not wait for it"


async def make_leases(app: AsyncCoreMachine, owner: Session) -> None:
    """Every task, job message and callback held by me, with the lease number 1."""
    await claim_all(app)
    await run(owner, HOLD)

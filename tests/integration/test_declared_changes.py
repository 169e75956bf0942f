"""I1: a row of CoreMachine changes by declared moves and declared changes alone, whoever writes it."""

from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from coremachine.runtime.store.session import Row, Session
from coremachine.sql_generator.changes import columns_of
from coremachine.sql_generator.moves import assignments
from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.changes import Change
from coremachine.statemachine.lifecycle import Edge
from coremachine.statemachine.machine import Subject, machine_of
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import JOBS, SCHEMA, STAGES
from tests.integration.declared import WHEN, Values, allowed, made, other_values, plain
from tests.integration.rows import EVENT_DATA, prepare, row_in, row_of, run, values_of


class Client(NamedTuple):
    """A worker's login, and the owner who makes the rows."""

    worker: Session
    owner: Session


@pytest.fixture
async def client(session: Session, url: str) -> Any:
    """Both, each on a connection of its own."""
    connection = await psycopg.AsyncConnection[Row].connect(url, autocommit=True, row_factory=dict_row)
    async with connection:
        await connection.execute(f"SET ROLE {worker_role('app')}".encode())
        yield Client(Session(connection, "app"), session)


async def refused(client: Client, record: Record, key: str, new: Values) -> bool:
    """Whether this UPDATE, by a worker's login, is refused. It is rolled back."""
    sets = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in new
    )
    statement = sql.SQL("UPDATE {} SET {} WHERE {}::text = %(_key)s").format(
        sql.Identifier("app", record.table), sets, sql.Identifier(record.key.name)
    )
    try:
        async with client.worker.connection.transaction(force_rollback=True):
            done = await client.worker.connection.execute(statement, {**new, "_key": key})
            assert done.rowcount == 1
    except psycopg.Error as error:
        assert error.sqlstate in {"CM007", "CM001", "CM003", "23514", "23502", "42501", "428C9"}, error  # noqa: PT017
        return True
    return False


OPEN = [(record, state.name) for record in SCHEMA.records for state in record.lifecycle.states if not state.terminal]
LEASED_JOB = """
UPDATE {schema}.jobs SET due_at = app.clock(), lease_owner = 'me', lease_number = lease_number + 1,
                         lease_expires_at = app.clock(), send_number = 0
WHERE job_id = %(key)s
"""


async def open_rows(client: Client, record: Record, state: str) -> list[str]:
    """Rows in this state; of jobs one whose message is leased too."""
    keys = [(await row_in(client.owner, record, state)).key for _ in range(2)]
    if record is JOBS:
        await run(client.owner, "SET coremachine.repairing = 'on'")
        await run(client.owner, LEASED_JOB, {"key": keys[0]})
    return keys


@pytest.mark.parametrize(("record", "state"), OPEN, ids=lambda one: one if isinstance(one, str) else one.machine)
async def test_a_worker_changes_no_column_of_an_open_row_in_a_way_that_is_not_declared(
    client: Client, record: Record, state: str
) -> None:
    tried = 0
    for key in await open_rows(client, record, state):
        row = await row_of(client.owner, record, key)
        for column in record.changing:
            if column in {"status", "move_number"} or column.startswith("event_"):
                continue
            for value in other_values(record, column, row[column]):
                new = {**row, column: getattr(value, "obj", value)}
                if new[column] == row[column]:
                    continue
                tried += 1
                is_refused = await refused(client, record, key, {column: value})
                assert is_refused or allowed(record, row, new), f"{column}: {row[column]!r} → {value!r} was accepted"
        for column in {one.name for one in (record.key, *record.columns)} - set(record.changing):
            assert await refused(client, record, key, {column: plain(row, [column])[column]}), column
    assert tried > 5


CHANGES = [(record, change) for record in SCHEMA.records for change in record.all_changes]


@pytest.mark.parametrize(
    ("record", "change"), CHANGES, ids=lambda one: one.name if isinstance(one, Change) else one.machine
)
async def test_a_declared_change_is_accepted_whole_and_refused_with_one_column_bent(
    client: Client, record: Record, change: Change
) -> None:
    accepted = 0
    for state in change.states:
        for key in await open_rows(client, record, state):
            row = await row_of(client.owner, record, key)
            if not WHEN[change.when](row):
                continue
            change_to = made(change, row)
            assert not await refused(client, record, key, change_to), f"{change.name} of a {state} row"
            accepted += 1
            for column in columns_of(record):
                for value in other_values(record, column, change_to.get(column, row[column])):
                    bent = {**change_to, column: value}
                    after = {**row, **bent, column: getattr(value, "obj", value)}
                    if after == {**row, **change_to}:
                        continue
                    assert await refused(client, record, key, bent) or allowed(record, row, after), (
                        f"{change.name} with {column} = {value!r} was accepted"
                    )
    assert accepted


EDGES = [(record, edge) for record in SCHEMA.records for edge in record.lifecycle.edges]


@pytest.mark.parametrize(
    ("record", "edge"),
    EDGES,
    ids=lambda one: f"{one.source} {one.transition.trigger}" if isinstance(one, Edge) else one.machine,
)
async def test_a_move_leaves_each_column_as_it_is_declared_to(client: Client, record: Record, edge: Edge) -> None:
    key = (await row_in(client.owner, record, edge.source)).key
    await prepare(client.owner, record, key, edge.target)
    row = await row_of(client.owner, record, key)
    values = await values_of(client.owner, record, Subject(key, edge.source))
    fired = machine_of(record.lifecycle).fire(Subject(key, edge.source), edge.transition.trigger, values, EVENT_DATA)
    async with client.owner.connection.transaction(force_rollback=True):
        await client.owner.must_apply(record, fired)
        after = await row_of(client.owner, record, key)
    columns = columns_of(record)
    event = ("status", "move_number", "event_type", "event_status", "event_data")
    moved = plain(after, (*event, *columns))
    assert not await refused(client, record, key, moved)
    given = assignments(record, edge.transition, "given", "given.{}")
    bent = 0
    for column in columns:
        if "given" in given.get(column, ""):
            continue
        for value in other_values(record, column, after[column]):
            if getattr(value, "obj", value) == after[column]:
                continue
            assert await refused(client, record, key, {**moved, column: value}), (
                f"{edge.transition.trigger} with {column} = {value!r} instead of {after[column]!r} was accepted"
            )
            bent += 1
    assert bent > 1
    assert row["status"] == edge.source


async def test_the_owner_repairs_a_row_only_where_that_is_said(session: Session) -> None:
    key = (await row_in(session, JOBS, "queued")).key
    bend = "UPDATE {schema}.jobs SET lease_number = 7 WHERE job_id = %(key)s RETURNING lease_number"
    with pytest.raises(psycopg.Error, match="no declared change allows this of lease_number"):
        await run(session, bend, {"key": key})
    await run(session, "SET coremachine.repairing = 'on'")
    assert await run(session, bend, {"key": key}) == [{"lease_number": 7}]


async def test_no_worker_can_repair(client: Client) -> None:
    key = (await row_in(client.owner, JOBS, "queued")).key
    stage = await row_in(client.owner, STAGES, "completed")
    await client.worker.connection.execute(b"SET coremachine.repairing = 'on'")
    assert await refused(client, JOBS, key, {"lease_number": 7})
    added = (
        "INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type)"
        " SELECT 'more', job_id, stage_id, stage, 9, 9, task_type FROM app.stages WHERE stage_id = %s"
    )
    with pytest.raises(psycopg.Error, match="no declared change allows this"):  # the counting trigger runs as the owner
        await client.worker.connection.execute(added.encode(), (int(stage.key),))

"""Rows in any state: inserted in the initial state, then moved along the declared edges by the generated moves."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import count

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from coremachine.examples.approval import APPROVALS
from coremachine.runtime.store.session import Row, Session
from coremachine.sql_generator.moves import assignments
from coremachine.statemachine.lifecycle import Edge, Lifecycle, Transition
from coremachine.statemachine.machine import Move, Subject, machine_of
from coremachine.statemachine.records import Record, Schema
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES

WITH_APPROVALS = Schema((*SCHEMA.records, APPROVALS))
NUMBERS = count(1)
OWNER = "a worker"
MANY = 1000

EVENT_DATA: Mapping[str, object] = {
    "error": {"message": "boom"},
    "attempt": 1,
    "finalizer": "none",
    "tasks_total": 0,
    "tasks_completed": 0,
    "tasks_failed": 0,
    "tasks_cancelled": 0,
}
"""Event data that every gap check accepts."""

GIVEN: Mapping[str, object] = {
    "delay": 0.0,
    "lease": 60.0,
    "lease_owner": OWNER,
    "result": '{"answer": 42}',
    "error": {"message": "boom"},
    "max_attempts": 1,
    "rescues": 0,
    "decided_by": "a reviewer",
}
"""A value for every input that a move needs, except the lease number."""

COLUMNS: Mapping[str, Mapping[str, object]] = {
    "job": {"job_type": "sums", "stage_count": 1},
    "stage": {"stage": 1, "name": "only", "task_type": "add"},
    "task": {
        "stage": 1,
        "task_index": 0,
        "task_number": 1,
        "task_type": "add",
        "max_attempts": MANY,
        "max_rescues": MANY,
    },
    "callback": {"job_type": "sums", "name": "on_job_complete", "max_attempts": MANY, "max_rescues": MANY},
    "approval": {"summary": "please look"},
}


@asynccontextmanager
async def open_session(url: str, schema: str = "app", name: str = "psql") -> AsyncGenerator[Session]:
    """A session on a new connection that commits each statement."""
    connection = await psycopg.AsyncConnection[Row].connect(
        url, autocommit=True, row_factory=dict_row, application_name=name
    )
    async with connection:
        yield Session(connection, schema)


async def run(session: Session, text: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
    """Run plain SQL, as another client would, and return its rows. {schema} stands for the session's schema."""
    cursor = await session.connection.execute(text.replace("{schema}", session.schema).encode(), parameters)
    return await cursor.fetchall() if cursor.description else []


async def insert_row(session: Session, record: Record, **columns: object) -> Subject:
    """Insert a row in the initial state, and its job and stage unless `columns` names them."""
    given = {**COLUMNS[record.machine], **await _parents(session, record, columns)}
    if record.lifecycle.created is not None:
        event = machine_of(record.lifecycle).creation_event()
        given |= {"event_type": event.type, "event_status": event.status, "event_data": "{}"}
    given |= columns
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}::text AS key").format(
        sql.Identifier(session.schema, record.table),
        sql.SQL(", ").join(map(sql.Identifier, given)),
        sql.SQL(", ").join(map(sql.Placeholder, given)),
        sql.Identifier(record.key.name),
    )
    cursor = await session.connection.execute(insert, given)
    row = await cursor.fetchone()
    assert row is not None
    return Subject(row["key"], record.lifecycle.initial.name)


async def _parents(session: Session, record: Record, given: Mapping[str, object]) -> dict[str, object]:
    if record is JOBS:
        return {"job_id": f"{next(NUMBERS):064x}"}
    if record is CALLBACKS:
        return {"job_id": given.get("job_id") or (await row_in(session, JOBS, "completed")).key}
    parents = {"job_id": given.get("job_id") or (await insert_row(session, JOBS)).key}
    if record is APPROVALS:
        parents["approval_id"] = parents["job_id"]
    if record.machine == "task":
        stage = given.get("stage_id") or int((await row_in(session, STAGES, "processing", **parents)).key)
        parents |= {"stage_id": stage, "task_id": f"{stage}-{given.get('task_index', 0)}"}
    return parents


async def row_in(session: Session, record: Record, state: str, **columns: object) -> Subject:
    """A new row, moved to `state` by the shortest path."""
    subject = await insert_row(session, record, **columns)
    for transition in path(record.lifecycle, state):
        await prepare(session, record, subject.key, transition.target)
        await move(session, record, subject, transition.trigger)
    return subject


async def prepare(session: Session, record: Record, key: str, target: str) -> None:
    """Insert what must exist before a row may be in `target`: a job completes only with a completed stage."""
    if record is JOBS and target == "completed":
        await row_in(session, STAGES, "completed", job_id=key)


def path(lifecycle: Lifecycle, state: str) -> tuple[Transition, ...]:
    """The shortest path from the initial state to `state`."""
    found: dict[str, tuple[Transition, ...]] = {lifecycle.initial.name: ()}
    ahead = deque(found)
    while ahead:
        here = ahead.popleft()
        for edge in lifecycle.edges:
            if edge.source == here and edge.target not in found:
                found[edge.target] = (*found[here], edge.transition)
                ahead.append(edge.target)
    return found[state]


async def move(session: Session, record: Record, subject: Subject, trigger: str) -> Move:
    """Fire `trigger` on the machine and write the move, which must succeed."""
    fired = machine_of(record.lifecycle).fire(subject, trigger, await values_of(session, record, subject), EVENT_DATA)
    await session.must_apply(record, fired)
    return fired


async def values_of(session: Session, record: Record, subject: Subject) -> dict[str, object]:
    """Values with which every move of this row succeeds: the samples, and the lease number of a leased row."""
    if record.fencing_column is None or not record.lifecycle.by_name[subject.state].leased:
        return dict(GIVEN)
    return {**GIVEN, record.fencing_column: (await row_of(session, record, subject.key))[record.fencing_column]}


async def row_of(session: Session, record: Record, key: str) -> Row:
    """The row."""
    select = sql.SQL("SELECT * FROM {} WHERE {}::text = %s").format(
        sql.Identifier(session.schema, record.table), sql.Identifier(record.key.name)
    )
    cursor = await session.connection.execute(select, (key,))
    row = await cursor.fetchone()
    assert row is not None, f"{record.table} has no row {key}"
    return row


async def events_of(session: Session, record: Record, key: str) -> list[Row]:
    """The transition events of one row in the order in which they happened."""
    row = await row_of(session, record, key)
    subject: dict[str, object] = {
        name: row[name] for name in ("job_id", "task_id", "approval_id") if name in record.log.copied_columns
    }
    select = sql.SQL("SELECT * FROM {} WHERE event_type = ANY(%(types)s) AND {} ORDER BY event_id").format(
        sql.Identifier(session.schema, record.log.table),
        sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder(c)) for c in subject),
    )
    cursor = await session.connection.execute(select, {"types": sorted(record.lifecycle.event_types), **subject})
    return await cursor.fetchall()


async def update(
    session: Session, record: Record, key: str, changes: Mapping[str, str], **parameters: object
) -> list[Row]:
    """A plain UPDATE of one row, as from psql: `changes` are SQL texts by column. Returns the changed rows."""
    sets = ", ".join(f"{column} = {value}" for column, value in changes.items())
    text = f"UPDATE {{schema}}.{record.table} SET {sets}"  # noqa: S608 - a test that injects SQL does so on purpose
    text += f" WHERE {record.key.name}::text = %(key)s RETURNING *"
    return await run(session, text, {"key": key, **parameters})


def tied_columns(record: Record, target: str) -> dict[str, str]:
    """What a client must set so that the row may be in `target`: SQL texts by column."""
    samples = {
        "TIMESTAMPTZ": "now()",
        "JSON": "'[]'::json",
        "JSONB": "'{}'::jsonb",
        "VARCHAR(100)": "'someone'",
        "VARCHAR(20)": "'why'",
        "TEXT": "'why'",
        "INT": "1",
    }
    changes: dict[str, str] = {}
    for tie in record.state_columns:
        sample = samples[record.column(tie.column).type]
        if target in tie.required:
            changes[tie.column] = f"COALESCE({tie.column}, {sample})"
        elif target not in tie.allowed:
            changes[tie.column] = "NULL"
    return changes


@asynccontextmanager
async def without_guard(session: Session, record: Record, number: str) -> AsyncGenerator[None]:
    """Without one guard, in a transaction that is rolled back."""
    async with session.connection.transaction(force_rollback=True):
        await run(session, f"DROP TRIGGER {record.table}_{number} ON {{schema}}.{record.table}")
        yield


def stamped_edge(record: Record, source: str, target: str) -> Edge:
    """The edge whose event a move from `source` to `target` is given if its client gives none."""
    edges = [edge for edge in record.lifecycle.edges if (edge.source, edge.target) == (source, target)]
    return min(edges, key=lambda edge: edge.transition.event.type)


def moved_columns(record: Record, edge: Edge) -> dict[str, str]:
    """What a client has to set beside status and event so that this move is as declared: SQL texts by column."""
    assigned = assignments(record, edge.transition, "given", "given.{}")
    exact = {column: value.replace("r.", "") for column, value in assigned.items() if "given" not in value}
    kept = {"status", "move_number", "event_type", "event_status", "event_data"}
    moved = {**tied_columns(record, edge.target), **exact}
    return {
        column: value
        for column, value in moved.items()
        if column not in kept and (column in assigned or not value.startswith("COALESCE"))
    }

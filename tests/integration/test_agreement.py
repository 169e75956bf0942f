"""Python machine, SQL moves and guards say the same of every trigger, at every step."""

from collections.abc import AsyncIterator, Mapping, Sequence

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coremachine.examples.approval import APPROVALS
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.session import Session
from coremachine.statemachine.errors import IllegalMoveError
from coremachine.statemachine.lifecycle import Edge, Lifecycle, Transition
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Machine, Move, MoveEvent, Subject, machine_of
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.integration.rows import (
    EVENT_DATA,
    NUMBERS,
    OWNER,
    WITH_APPROVALS,
    events_of,
    insert_row,
    moved_columns,
    open_session,
    path,
    prepare,
    row_in,
    row_of,
    stamped_edge,
    update,
    values_of,
)

ILLEGAL_MOVE = "CM001"
KINDS = {"task": "task_type", "callback": "job_type"}
QUICK = settings(
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest_asyncio.fixture
async def custom(shared_url: str) -> AsyncIterator[Session]:
    """A session on a schema that holds the user's own lifecycle as well."""
    database = Database(shared_url, schema="custom", records=WITH_APPROVALS, pool_size=1)
    await database.open()
    await database.install()
    await database.close()
    async with open_session(shared_url, "custom") as session:
        yield session


def walks(lifecycle: Lifecycle) -> st.SearchStrategy[list[Transition]]:
    """Sequences of declared triggers, most of them illegal where they are fired."""
    return st.lists(st.sampled_from(lifecycle.transitions), min_size=3, max_size=12)


@QUICK
@given(walk=walks(JOBS.lifecycle))
async def test_all_agree_about_jobs(custom: Session, walk: list[Transition]) -> None:
    await agree_along(custom, JOBS, walk)


@QUICK
@given(walk=walks(STAGES.lifecycle))
async def test_all_agree_about_stages(custom: Session, walk: list[Transition]) -> None:
    await agree_along(custom, STAGES, walk)


@QUICK
@given(walk=walks(TASKS.lifecycle))
async def test_all_agree_about_tasks(custom: Session, walk: list[Transition]) -> None:
    await agree_along(custom, TASKS, walk)


@QUICK
@given(walk=walks(CALLBACKS.lifecycle))
async def test_all_agree_about_callbacks(custom: Session, walk: list[Transition]) -> None:
    await agree_along(custom, CALLBACKS, walk)


@QUICK
@given(walk=walks(APPROVALS.lifecycle))
async def test_all_agree_about_a_lifecycle_of_the_users_own(custom: Session, walk: list[Transition]) -> None:
    await agree_along(custom, APPROVALS, walk)


@pytest.mark.parametrize("record", WITH_APPROVALS.records, ids=lambda record: record.machine)
async def test_all_agree_about_every_trigger_in_every_state(custom: Session, record: Record) -> None:
    """Chance may leave an edge out; this leaves out none."""
    for transition in record.lifecycle.transitions:
        for state in record.lifecycle.states:
            await agree_along(custom, record, [*path(record.lifecycle, state.name), transition])


async def test_without_the_machines_callback_the_event_is_gone(custom: Session) -> None:
    """The database has no event to write, so the move does not happen."""
    subject = await insert_row(custom, TASKS)
    silent = Machine(TASK, write_event=lambda _: None)
    moved = silent.fire(subject, "claim", await values_of(custom, TASKS, subject), {"worker": "me"})
    assert moved.event is None
    with pytest.raises(psycopg.Error, match="queued → processing cannot have event none"):
        await custom.apply(TASKS, [moved])
    assert await events_of(custom, TASKS, subject.key) == []
    assert (await row_of(custom, TASKS, subject.key))["status"] == "queued"


async def agree_along(session: Session, record: Record, walk: Sequence[Transition]) -> None:
    """Fire each trigger of `walk` on a new row three times over, and compare the answers."""
    kind = f"kind {next(NUMBERS)}"
    subject = await insert_row(session, record, **await columns_of(session, record, kind))
    if record is JOBS:  # its stage has completed, so that it may complete itself
        await prepare(session, record, subject.key, "completed")
    for transition in walk:
        source = subject.state
        move = await as_python_says(session, record, subject, transition)
        legal = move is not None
        assert await guard_allows(session, record, subject.key, transition) == told_alike(record, source, transition)
        assert await guard_allows_untold(session, record, subject.key, transition) == (
            (source, transition.target) in record.lifecycle.legal_pairs
        )
        won = await sql_moves(session, record, move or await forged(session, record, subject, transition), kind)
        assert won == ({subject.key} if legal else set())
        row = await row_of(session, record, subject.key)
        types = [event["event_type"] for event in await events_of(session, record, subject.key)]
        assert row["status"] == subject.state == record.lifecycle.replay(types)
        assert row["move_number"] == len(types) - (record.lifecycle.created is not None)


async def columns_of(session: Session, record: Record, kind: str) -> dict[str, object]:
    """The columns of a row of this kind: a task is of its stage's kind, and a callback of its job's."""
    if record is TASKS:
        job = (await insert_row(session, JOBS)).key
        stage = await row_in(session, STAGES, "processing", job_id=job, task_type=kind)
        return {"task_type": kind, "job_id": job, "stage_id": int(stage.key)}
    if record is CALLBACKS:
        return {"job_type": kind, "job_id": (await row_in(session, JOBS, "completed", job_type=kind)).key}
    return {KINDS[record.machine]: kind} if record.machine in KINDS else {}


async def as_python_says(session: Session, record: Record, subject: Subject, transition: Transition) -> Move | None:
    source, values = subject.state, await values_of(session, record, subject)
    try:
        move = machine_of(record.lifecycle).fire(subject, transition.trigger, values, EVENT_DATA)
    except IllegalMoveError:
        assert subject.state == source
        return None
    assert (move.source, move.target) == (source, subject.state)
    return move


def told_alike(record: Record, source: str, transition: Transition) -> bool:
    """Whether some trigger leads from `source` where this one leads, with the same event: the guard sees no trigger."""
    machine, told = machine_of(record.lifecycle), (transition.target, transition.event)
    same = [one.trigger for one in record.lifecycle.transitions if (one.target, one.event) == told]
    return any(_fires(machine, source, trigger) for trigger in same)


def _fires(machine: Machine, source: str, trigger: str) -> bool:
    values = {"lease_number": 1, "delay": 0.0, "result": "1", "tasks_total": 0}
    counters = dict.fromkeys(("tasks_completed", "tasks_failed", "tasks_cancelled"), 0)
    try:
        machine.fire(Subject("any", source), trigger, {**values, **counters}, EVENT_DATA)
    except IllegalMoveError:
        return False
    return True


async def guard_allows(session: Session, record: Record, key: str, transition: Transition) -> bool:
    """Whether a plain UPDATE passes that tells the transition's own event."""
    event = transition.event
    told = {"event_type": f"'{event.type}'", "event_status": f"'{event.status}'", "event_data": "'{}'"}
    return await _passes(session, record, key, transition, {"move_number": "move_number + 1", **told})


async def guard_allows_untold(session: Session, record: Record, key: str, transition: Transition) -> bool:
    """Whether a plain UPDATE passes that tells no event."""
    return await _passes(session, record, key, transition, {})


async def _passes(session: Session, record: Record, key: str, transition: Transition, told: Mapping[str, str]) -> bool:
    try:
        async with session.connection.transaction(force_rollback=True):
            row = await row_of(session, record, key)
            edge = Edge(row["status"], transition)
            moved = moved_columns(
                record, edge if told or not _is_legal(record, edge) else stamped_edge(record, *_pair(edge))
            )
            [row] = await update(session, record, key, {"status": f"'{transition.target}'", **moved, **told})
            assert row["status"] == transition.target
    except psycopg.Error as refused:
        if refused.sqlstate != ILLEGAL_MOVE:
            raise
        return False
    return True


def _pair(edge: Edge) -> tuple[str, str]:
    return edge.source, edge.target


def _is_legal(record: Record, edge: Edge) -> bool:
    return _pair(edge) in record.lifecycle.legal_pairs


async def forged(session: Session, record: Record, subject: Subject, transition: Transition) -> Move:
    """The move that the machine refused, as somebody would write it who does not ask the machine."""
    event = MoveEvent(transition.event.type, transition.event.status, EVENT_DATA)
    values = await values_of(session, record, subject)
    return Move(record.machine, transition.trigger, subject.key, subject.state, transition.target, values, event)


async def sql_moves(session: Session, record: Record, move: Move, kind: str) -> set[str]:
    if record.queue is not None and move.trigger == "claim":
        claim = Claim(record=record, types=[kind], limit=9, owner=OWNER, lease=60.0)
        return {row["key"] for row in await claim_due(session, claim)}
    return await session.apply(record, [move])

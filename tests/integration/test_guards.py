"""The guards, from a client that knows no machine: plain SQL, one statement a transaction."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import product

import psycopg
import pytest
from psycopg import errors

from coremachine.runtime.store.session import Row, Session
from coremachine.sql_generator.events import STATUSES
from coremachine.statemachine.lifecycle import Edge, Lifecycle
from coremachine.statemachine.lifecycles import LIFECYCLES
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import (
    events_of,
    insert_row,
    moved_columns,
    prepare,
    row_in,
    row_of,
    run,
    stamped_edge,
    tied_columns,
    update,
    without_guard,
)

Pair = tuple[Record, str, str]
PAIRS: list[Pair] = [
    (record, source, target)
    for record in SCHEMA.records
    for source, target in product(record.lifecycle.by_name, repeat=2)
]
LEGAL = [pair for pair in PAIRS if pair[1:] in pair[0].lifecycle.legal_pairs]
ILLEGAL = [pair for pair in PAIRS if pair[1:] not in pair[0].lifecycle.legal_pairs]
EDGES = [(record, edge) for record in SCHEMA.records for edge in record.lifecycle.edges]
NEVER_BORN = [
    (record, state.name) for record in SCHEMA.records for state in record.lifecycle.states if not state.initial
]
EVENTS_ON_A_ROW = {
    "move_number": "move_number + 1",
    "event_type": "'job_queued'",
    "event_status": "'failure'",
    "event_data": """'{"forged": true}'""",
}


def named(value: object) -> str:
    if isinstance(value, Edge):
        return f"{value.source}-{value.transition.trigger}"
    return value.machine if isinstance(value, Record) else str(value)


def legal_from(lifecycle: Lifecycle, state: str) -> str:
    moves = sorted((edge.target, edge.transition.trigger) for edge in lifecycle.edges if edge.source == state)
    return ", ".join(f"{target} ({trigger})" for target, trigger in moves) or "nothing"


def told_as(edge: Edge) -> dict[str, str]:
    """The event columns as a client sets them that tells the move as the machine would."""
    event = edge.transition.event
    told = {"event_type": f"'{event.type}'", "event_status": f"'{event.status}'", "event_data": "'{}'"}
    return {"move_number": "move_number + 1", **told}


def sqlstate(refused: pytest.ExceptionInfo[psycopg.Error]) -> str | None:
    return refused.value.sqlstate


def test_every_pair_of_states_of_every_table_is_tried() -> None:
    assert {record.machine for record, _, _ in PAIRS} == {lifecycle.name for lifecycle in LIFECYCLES}
    assert len(LEGAL) + len(ILLEGAL) == sum(len(lifecycle.states) ** 2 for lifecycle in LIFECYCLES)
    assert all((record, state, state) in ILLEGAL for record in SCHEMA.records for state in record.lifecycle.by_name)


@pytest.mark.parametrize(("record", "source", "target"), ILLEGAL, ids=named)
async def test_an_illegal_move_is_refused_by_name(shared: Session, record: Record, source: str, target: str) -> None:
    subject = await row_in(shared, record, source)
    before = await row_of(shared, record, subject.key)
    with pytest.raises(psycopg.Error) as refused:
        await update(shared, record, subject.key, {"status": f"'{target}'", **tied_columns(record, target)})
    assert sqlstate(refused) == "CM001"
    assert refused.value.diag.message_primary == (
        f"{record.machine} {subject.key}: {source} → {target} is not a legal move;"
        f" legal from {source}: {legal_from(record.lifecycle, source)}"
    )
    assert await row_of(shared, record, subject.key) == before


@pytest.mark.parametrize(("record", "source", "target"), ILLEGAL, ids=named)
async def test_no_event_makes_an_illegal_move_legal(shared: Session, record: Record, source: str, target: str) -> None:
    subject = await row_in(shared, record, source)
    for edge in record.lifecycle.edges:
        changes = {"status": f"'{target}'", **tied_columns(record, target), **told_as(edge)}
        with pytest.raises(psycopg.Error) as refused:
            await update(shared, record, subject.key, changes)
        assert sqlstate(refused) == "CM001"
    assert (await row_of(shared, record, subject.key))["status"] == source


@pytest.mark.parametrize(("record", "edge"), EDGES, ids=named)
async def test_f59_a_move_whose_event_has_a_lying_status_is_refused(
    shared: Session, record: Record, edge: Edge
) -> None:
    subject = await row_in(shared, record, edge.source)
    await prepare(shared, record, subject.key, edge.target)
    before = await row_of(shared, record, subject.key)
    move = {"status": f"'{edge.target}'", **moved_columns(record, edge), **told_as(edge)}
    for lying in (status for status in STATUSES if status != edge.transition.event.status):
        changes = {**move, "event_status": f"'{lying}'"}
        words = rf"{edge.source} → {edge.target} cannot have event {edge.transition.event.type} \({lying}\)"
        with pytest.raises(psycopg.Error, match=words) as refused:
            await update(shared, record, subject.key, changes)
        assert sqlstate(refused) == "CM001"
        assert await row_of(shared, record, subject.key) == before
        async with without_guard(shared, record, "2_guard"):
            assert await update(shared, record, subject.key, changes)


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_without_the_guard_an_illegal_move_passes(shared: Session, record: Record) -> None:
    subject = await row_in(shared, record, "completed")
    initial = record.lifecycle.initial.name
    forged = {"status": f"'{initial}'", **tied_columns(record, initial), **told_as(record.lifecycle.edges[0])}
    async with without_guard(shared, record, "2_guard"), without_guard(shared, record, "5_moved"):
        [row] = await update(shared, record, subject.key, forged)
        assert row["status"] == initial
    with pytest.raises(psycopg.Error, match="is not a legal move"):
        await update(shared, record, subject.key, forged)


@pytest.mark.parametrize(("record", "edge"), EDGES, ids=named)
async def test_a_legal_move_told_as_the_machine_would_passes(shared: Session, record: Record, edge: Edge) -> None:
    subject = await row_in(shared, record, edge.source)
    await prepare(shared, record, subject.key, edge.target)
    changes = {"status": f"'{edge.target}'", **moved_columns(record, edge), **told_as(edge)}
    [row] = await update(shared, record, subject.key, changes)
    last = (await events_of(shared, record, subject.key))[-1]
    event = edge.transition.event
    assert row["status"] == edge.target
    assert (last["event_type"], last["event_status"], last["event_data"]) == (event.type, event.status, {})


@pytest.mark.parametrize(("record", "source", "target"), LEGAL, ids=named)
async def test_a_legal_move_with_no_event_is_given_a_warning_or_a_failure(
    shared: Session, record: Record, source: str, target: str
) -> None:
    subject = await row_in(shared, record, source)
    await prepare(shared, record, subject.key, target)
    told = len(await events_of(shared, record, subject.key))
    moves = (await row_of(shared, record, subject.key))["move_number"]
    moved = moved_columns(record, stamped_edge(record, source, target))
    [row] = await update(shared, record, subject.key, {"status": f"'{target}'", **moved})
    events = await events_of(shared, record, subject.key)
    assert (row["status"], row["move_number"], len(events)) == (target, moves + 1, told + 1)
    assert_names_client(events[-1], source, target, await user_of(shared))
    assert events[-1]["event_status"] == stamped(record, source, target)
    assert record.lifecycle.replay(event["event_type"] for event in events) == target


def stamped(record: Record, source: str, target: str) -> str:
    """The status of the event of a move that told none: a failure stays one."""
    declared = {
        edge.transition.event.status
        for edge in record.lifecycle.edges
        if (edge.source, edge.target) == (source, target)
    }
    return "failure" if declared == {"failure"} else "warning"


def test_every_end_that_is_a_failure_is_stamped_as_one() -> None:
    failures = {
        (record.machine, target) for record, source, target in LEGAL if stamped(record, source, target) == "failure"
    }
    assert failures == {("job", "failed"), ("stage", "failed"), ("task", "failed"), ("callback", "failed")}


def assert_names_client(event: Row, source: str, target: str, user: str) -> None:
    assert event["event_data"] == {
        "reason": "moved by a client that gave no event",
        "source": source,
        "target": target,
        "client": "psql",
        "user": user,
    }


async def user_of(session: Session) -> str:
    [row] = await run(session, "SELECT session_user::text AS name")
    return str(row["name"])


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_without_the_stamp_a_move_with_no_event_is_refused(shared: Session, record: Record) -> None:
    subject = await insert_row(shared, record)
    target = next(edge.target for edge in record.lifecycle.edges if edge.source == subject.state)
    async with without_guard(shared, record, "2_stamp"):
        with pytest.raises(psycopg.Error) as refused:
            await update(shared, record, subject.key, {"status": f"'{target}'", **tied_columns(record, target)})
    assert sqlstate(refused) == "CM001"


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_without_its_guard_an_illegal_move_with_no_event_passes(shared: Session, record: Record) -> None:
    subject = await row_in(shared, record, record.ends[0])
    initial = record.lifecycle.initial.name
    untold = {"status": f"'{initial}'", **tied_columns(record, initial)}
    async with without_guard(shared, record, "2_unstamped"), without_guard(shared, record, "5_moved"):
        [row] = await update(shared, record, subject.key, untold)
        assert row["status"] == initial
    with pytest.raises(psycopg.Error, match="is not a legal move"):
        await update(shared, record, subject.key, untold)


@pytest.mark.parametrize(("record", "state"), NEVER_BORN, ids=named)
async def test_birth_in_another_state_is_refused(shared: Session, record: Record, state: str) -> None:
    with pytest.raises(psycopg.Error, match=f"cannot be created {state}") as refused:
        await insert_row(shared, record, status=state)
    assert sqlstate(refused) == "CM002"
    assert refused.value.diag.message_hint is not None
    assert f"is {record.lifecycle.initial.name}, and has not moved" in refused.value.diag.message_hint


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_birth_with_moves_behind_it_is_refused(shared: Session, record: Record) -> None:
    with pytest.raises(psycopg.Error) as refused:
        await insert_row(shared, record, move_number=1, event_type=record.lifecycle.edges[0].transition.event.type)
    assert sqlstate(refused) == "CM002"


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_birth_with_another_event_or_a_lying_status_is_refused(shared: Session, record: Record) -> None:
    created = record.lifecycle.created
    told = (created.type, created.status) if created else (None, None)
    others = product([None, record.lifecycle.edges[0].transition.event.type, told[0]], [None, *STATUSES])
    for event_type, event_status in sorted(set(others) - {told}, key=str):
        forged = {"event_type": event_type, "event_status": event_status, "event_data": "{}"}
        with pytest.raises(psycopg.Error, match="cannot be created") as refused:
            await insert_row(shared, record, **forged)
        assert sqlstate(refused) == "CM002"
    assert (await insert_row(shared, record)).state == record.lifecycle.initial.name


@pytest.mark.parametrize("column", EVENTS_ON_A_ROW)
@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_event_columns_do_not_change_without_a_move(shared: Session, record: Record, column: str) -> None:
    subject = await row_in(shared, record, "completed")
    told = await events_of(shared, record, subject.key)
    with pytest.raises(psycopg.Error, match=r"an event .* without a move; the row stays completed") as refused:
        await update(shared, record, subject.key, {column: EVENTS_ON_A_ROW[column]})
    assert sqlstate(refused) == "CM003"
    assert f"{record.machine} {subject.key}" in str(refused.value)
    assert await events_of(shared, record, subject.key) == told


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_without_its_guard_an_event_changes_with_no_move(shared: Session, record: Record) -> None:
    subject = await row_in(shared, record, "completed")
    async with AsyncExitStack() as stack:
        for guard in ("3_event", "6_ended", "7_changed"):
            await stack.enter_async_context(without_guard(shared, record, guard))
        [row] = await update(shared, record, subject.key, {"event_status": "'failure'"})
        assert row["event_status"] == "failure"


ANOTHER = {
    "JSON": """'{"another": 1}'""",
    "JSONB": """'{"type": "Another"}'""",
    "TIMESTAMPTZ": "now() + interval '1 day'",
}
KEPT = [
    (record, column, state)
    for record in SCHEMA.records
    for column in record.kept
    for tie in record.state_columns
    if tie.column == column
    for state in tie.required
]
ENDED = [
    (record, column, state)
    for record in SCHEMA.records
    for column in (*record.changing, *(one.name for one in record.columns if one.immutable or one.counted))
    for state in record.ends
    if column != "status"
]


@pytest.mark.parametrize(("record", "column", "state"), KEPT, ids=named)
async def test_i7_what_a_row_has_from_its_moves_does_not_change_without_one(
    shared: Session, record: Record, column: str, state: str
) -> None:
    subject = await row_in(shared, record, state)
    another = {column: ANOTHER[record.column(column).type]}
    if only_of_ends(record, column):  # then the guard of ended rows, which keeps every column, keeps this one too
        with pytest.raises(psycopg.Error, match="the row stays") as refused:
            await update(shared, record, subject.key, another)
        assert sqlstate(refused) == "CM007"
        async with without_guard(shared, record, "6_ended"), without_guard(shared, record, "7_changed"):
            assert await update(shared, record, subject.key, another)
        return
    async with AsyncExitStack() as stack:
        if state in record.ends:  # no column of it changes, and another guard says so too
            await stack.enter_async_context(without_guard(shared, record, "6_ended"))
        assert await update(shared, record, subject.key, {column: column})
        async with refusing(shared):
            with pytest.raises(psycopg.Error, match="the row stays") as refused:
                await update(shared, record, subject.key, another)
        assert sqlstate(refused) == "CM007"
        async with without_guard(shared, record, "7_changed"):
            assert await update(shared, record, subject.key, another)


def only_of_ends(record: Record, column: str) -> bool:
    """Whether a row has this column in terminal states alone."""
    (tie,) = (tie for tie in record.state_columns if tie.column == column)
    return {*tie.required, *tie.allowed} <= set(record.ends)


def refusing(session: Session) -> AbstractAsyncContextManager[object]:
    """A part of a transaction that may be refused without ending the whole."""
    return session.connection.transaction(force_rollback=True)


def test_what_every_record_has_from_its_moves() -> None:
    assert {(record.machine, column) for record, column, _ in KEPT} == {
        ("job", "started_at"),
        ("job", "finished_at"),
        ("job", "result"),
        ("job", "error"),
        ("stage", "started_at"),
        ("stage", "finished_at"),
        ("stage", "error"),
        ("task", "started_at"),
        ("task", "finished_at"),
        ("task", "result"),
        ("task", "error"),
        ("callback", "started_at"),
        ("callback", "finished_at"),
    }


@pytest.mark.parametrize(("record", "column", "state"), ENDED, ids=named)
async def test_no_column_of_a_row_that_has_ended_is_written_without_a_move(
    shared: Session, record: Record, column: str, state: str
) -> None:
    subject = await row_in(shared, record, state)
    before = await row_of(shared, record, subject.key)
    with pytest.raises(psycopg.Error, match=f"the row stays {state}") as refused:
        await update(shared, record, subject.key, {column: column})
    assert sqlstate(refused) == "CM007"
    assert f"{record.machine} {subject.key}" in str(refused.value)
    assert await row_of(shared, record, subject.key) == before
    async with without_guard(shared, record, "6_ended"):
        assert await update(shared, record, subject.key, {column: column})


@pytest.mark.parametrize(("record", "edge"), EDGES, ids=named)
async def test_an_edge_is_told_by_its_own_events_alone(shared: Session, record: Record, edge: Edge) -> None:
    subject = await row_in(shared, record, edge.source)
    pair = (edge.source, edge.target)
    fitting = {one.transition.event.type for one in record.lifecycle.edges if (one.source, one.target) == pair}
    for wrong in sorted(record.lifecycle.event_types - fitting):
        told = {**told_as(edge), "event_type": f"'{wrong}'"}
        changes = {"status": f"'{edge.target}'", **moved_columns(record, edge), **told}
        words = f"{edge.source} → {edge.target} cannot have event {wrong}"
        with pytest.raises(psycopg.Error, match=words) as refused:
            await update(shared, record, subject.key, changes)
        assert sqlstate(refused) == "CM001"


@pytest.mark.parametrize("step", ["+ 2", "- 1"])
@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_a_move_number_is_the_next_one(shared: Session, record: Record, step: str) -> None:
    subject = await insert_row(shared, record)
    edge = next(edge for edge in record.lifecycle.edges if edge.source == subject.state)
    told = {**told_as(edge), "move_number": f"move_number {step}"}
    changes = {"status": f"'{edge.target}'", **moved_columns(record, edge), **told}
    with pytest.raises(psycopg.Error, match="cannot have event") as refused:
        await update(shared, record, subject.key, changes)
    assert (sqlstate(refused), refused.value.diag.message_detail) == ("CM001", "The last move was number 0.")


@pytest.mark.parametrize("column", ["event_type", "event_status"])
@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_a_move_without_an_event_is_refused_by_the_guard(shared: Session, record: Record, column: str) -> None:
    subject = await insert_row(shared, record)
    edge = next(edge for edge in record.lifecycle.edges if edge.source == subject.state)
    untold = {**told_as(edge), column: "NULL"}
    with pytest.raises(psycopg.Error, match=r"cannot have event .*\bnone\b") as refused:
        await update(
            shared,
            record,
            subject.key,
            {"status": f"'{edge.target}'", **moved_columns(record, edge), **untold},
        )
    assert sqlstate(refused) == "CM001"


@pytest.mark.parametrize("record", SCHEMA.records, ids=named)
async def test_a_move_tells_its_whole_event(shared: Session, record: Record) -> None:
    subject = await insert_row(shared, record)
    edge = next(edge for edge in record.lifecycle.edges if edge.source == subject.state)
    changes = {"status": f"'{edge.target}'", **moved_columns(record, edge), **told_as(edge), "event_data": "NULL"}
    with pytest.raises(errors.CheckViolation) as refused:
        await update(shared, record, subject.key, changes)
    assert refused.value.diag.constraint_name == f"{record.table}_event_told"


@pytest.mark.parametrize("record", [JOBS, STAGES, TASKS, CALLBACKS], ids=named)
async def test_a_key_never_changes(shared: Session, record: Record) -> None:
    """The event of a row whose key changed with its state would be lost: the writer joins by key."""
    subject = await insert_row(shared, record)
    edge = next(edge for edge in record.lifecycle.edges if edge.source == subject.state)
    other = "DEFAULT" if record.key.identity else f"'{'f' * 64}'"
    changes = {record.key.name: other, "status": f"'{edge.target}'", **moved_columns(record, edge)}
    with pytest.raises(psycopg.Error, match=f"{record.machine} {subject.key}: its key cannot become") as refused:
        await update(shared, record, subject.key, changes)
    assert sqlstate(refused) == "CM004"

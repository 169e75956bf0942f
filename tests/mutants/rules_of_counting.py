"""What the counters of stages and jobs must keep to: they count the children that there are, whoever moves them."""

from collections.abc import Iterator, Sequence

from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.lifecycle import Edge
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.integration.rows import moved_columns, stamped_edge, tied_columns
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.probes import copy_of, event_columns_of, fresh, update
from tests.mutants.rules_of_changes import REPAIRING
from tests.mutants.rules_of_the_log import HOSTILE, JANITOR

ROLE = worker_role("app")
OFF = """
SELECT FROM app.{parent} AS p LEFT JOIN LATERAL (
  SELECT {counts} FROM app.{table} AS c WHERE c.{key} = p.{key}) AS c ON true
WHERE ({columns}) IS DISTINCT FROM ({counted})
"""
IN_TWO_WAYS = ("", "DISCARD PLANS; SET LOCAL enable_sort = off; ")
"""As the planner likes, and with a hash table, which gives its rows in no order."""


def off(record: Record) -> str:
    """A query for the parents whose counters differ from the rows they count."""
    parent = record.parent
    assert parent is not None
    counts = {
        column: f"count(*) FILTER (WHERE c.status IN ({', '.join(map(repr, states or record.lifecycle.by_name))}))"
        for column, states in parent.counts.items()
    }
    counts |= {total: f"coalesce(sum(c.{column}::bigint), 0)" for total, column in parent.sums.items()}
    return OFF.format(
        parent=parent.table,
        table=record.table,
        key=parent.key,
        counts=", ".join(f"{value} AS {column}" for column, value in counts.items()),
        columns=", ".join(f"p.{column}" for column in counts),
        counted=", ".join(f"c.{column}" for column in counts),
    )


COUNTED = f"NOT EXISTS ({off(TASKS)}) AND NOT EXISTS ({off(STAGES)})"


def of_counting(fixture: FixtureRows) -> Iterator[Probe]:
    """Every rule of the counters."""
    for record in (STAGES, TASKS):
        yield from _of_moves(record, fixture)
        yield from _of_births(record, fixture)
    yield from _of_unmoved(fixture)
    yield from _of_wrong_parents(fixture)
    yield from _of_closed_parents(fixture)
    yield from _of_others(fixture)


def _moved(record: Record, keys: Sequence[str], edge: Edge) -> str:
    changes = {"status": f"'{edge.target}'", **moved_columns(record, edge), **event_columns_of(edge)}
    listed = ", ".join(map(repr, keys))
    return update(record, keys[0], changes).replace(f"= '{keys[0]}'", f"IN ({listed})")


def _of_moves(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """Whatever moves, one row or three of two parents, the counters follow, and parents are taken in one order."""
    for edge in record.lifecycle.edges:
        keys = fixture.keys[record.machine, edge.source]
        for moving in (keys[:1], keys):
            name = f"{edge.source} → {edge.target} by {edge.transition.trigger}"
            sql = _moved(record, moving, edge)
            holds = f"$changed = {len(moving)} AND {COUNTED}"
            yield Probe(f"{len(moving)} {record.table} {name} counted", sql, holds, role=ROLE)
    hostile = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    edge = record.lifecycle.edges[1]
    sql = _moved(record, fixture.keys[record.machine, edge.source], edge)
    yield Probe(f"{record.table} moved and counted in a hostile place", hostile + sql, COUNTED)


def _of_births(record: Record, fixture: FixtureRows) -> Iterator[Probe]:
    """What is born is counted, as what it is even where the guard of births is gone; parents are taken in order."""
    parent, initial = record.parent, record.lifecycle.initial.name
    assert parent is not None
    key = fixture.key(record, initial)
    born = copy_of(record, key, fresh(record))
    yield Probe(f"a born {record.machine} counted", born, f"$changed = 1 AND {COUNTED}", role=ROLE)
    hostile = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe(f"a {record.machine} born and counted in a hostile place", hostile + born, COUNTED)
    unguarded = f"DROP TRIGGER {record.table}_4_birth ON app.{record.table}; "
    for state in record.lifecycle.by_name:
        given = {c: v.replace(f"COALESCE({c}", f"COALESCE(t.{c}") for c, v in tied_columns(record, state).items()}
        sql = copy_of(record, key, {**fresh(record), **given, "status": f"'{state}'"})
        yield Probe(f"a {record.machine} born {state} counted", unguarded + sql, f"$changed = 1 AND {COUNTED}")
    yield from _of_order(record, key)


def _of_order(record: Record, key: str) -> Iterator[Probe]:
    """One statement that touches many parents takes them in the order of their keys, whatever the planner does."""
    parent = record.parent
    assert parent is not None
    for way in IN_TWO_WAYS:
        born = f"{way}{_one_in_each(record, key)}"
        holds = f"{COUNTED} AND {_in_order(parent.table, parent.key)}"
        yield Probe(f"{record.table} born in the order of their parents {way}", born, holds)
        initial = record.lifecycle.initial.name
        changes = {"status": "'cancelled'", **moved_columns(record, stamped_edge(record, initial, "cancelled"))}
        sets = ", ".join(f"{column} = {value}" for column, value in changes.items())
        ended = f"UPDATE app.{record.table} SET {sets} WHERE status = '{initial}'"  # noqa: S608
        yield Probe(f"{record.table} ended in the order of their parents {way}", f"{born}; {ended}", holds)


def _one_in_each(record: Record, key: str) -> str:
    """A row like this one in every parent that is open and has room."""
    if record is TASKS:
        parents = "app.stages AS p WHERE p.status = 'processing'"
        of = {"task_id": "'new-' || p.stage_id", "job_id": "p.job_id", "stage_id": "p.stage_id", "stage": "p.stage"}
        changes = {**fresh(record), **of, "task_type": "p.task_type"}
    else:
        parents = "app.jobs AS p WHERE p.status = 'queued' AND p.stage_count > 2"
        changes = {**fresh(record), "job_id": "p.job_id"}
    return copy_of(record, key, changes).replace(" WHERE ", f", {parents} AND ")


def _in_order(table: str, key: str) -> str:
    """That the rows that were written last were written in the order of their keys; there are enough to tell."""
    last = f"xmin::text = (SELECT max(xmin::text::bigint)::text FROM app.{table})"  # noqa: S608 - test SQL
    order = f"array_agg({key} ORDER BY cmin::text::bigint) = array_agg({key} ORDER BY {key})"
    return f"(SELECT count(*) > 5 AND {order} FROM app.{table} WHERE {last})"  # noqa: S608 - test SQL


def _of_unmoved(fixture: FixtureRows) -> Iterator[Probe]:
    """Where the number of no state changes no parent is touched; where a row goes to another parent, both are."""
    for record, source, target in ((TASKS, "queued", "processing"), (STAGES, "pending", "processing")):
        key, parent = fixture.key(record, source), record.parent
        assert parent is not None
        whose = f"{parent.key} = (SELECT {parent.key} FROM app.{record.table} WHERE {record.key.name}::text = '{key}')"  # noqa: S608
        seen = f"CREATE TEMP TABLE seen AS SELECT ctid AS place FROM app.{parent.table} WHERE {whose}; "  # noqa: S608
        edge = next(edge for edge in record.lifecycle.edges if (edge.source, edge.target) == (source, target))
        still = f"(SELECT p.ctid = s.place FROM app.{parent.table} AS p, seen AS s WHERE p.{whose})"  # noqa: S608
        for what, sql in (
            ("moved", _moved(record, [key], edge)),
            ("changed", update(record, key, {"created_at": "created_at"})),
        ):
            yield Probe(
                f"a {record.machine} {what} and its parent not touched", seen + sql, f"$changed = 1 AND {still}"
            )
    task = fixture.key(TASKS, "queued")
    elsewhere = f"(SELECT s.stage_id FROM app.stages AS s WHERE s.stage_id = {fixture.key(STAGES, 'processing')})"  # noqa: S608
    yield Probe("a task in another stage", REPAIRING + update(TASKS, task, {"stage_id": elsewhere}), COUNTED)
    pending, job = fixture.key(STAGES, "pending"), fixture.key(JOBS, "queued")
    room = f"UPDATE app.jobs SET stage_count = 9 WHERE job_id = '{job}'; "  # noqa: S608 - test SQL
    moved = update(STAGES, pending, {"job_id": f"'{job}'", "stage": "7", "name": "'seventh'"})
    yield Probe("a stage in another job", REPAIRING + room + moved, COUNTED)


def _of_wrong_parents(fixture: FixtureRows) -> Iterator[Probe]:
    """A task equals its stage, and a callback its job, in what both have."""
    task, callback = fixture.key(TASKS, "queued"), fixture.key(CALLBACKS, "queued")
    other = f"'{fixture.key(JOBS, 'queued')}'"
    for column, value in (("job_id", other), ("stage", "2"), ("task_type", "'another'")):
        wrong = copy_of(TASKS, task, {**fresh(TASKS), column: value})
        yield Probe(f"a task with another {column}", wrong, refused=True, words="no row of stages is its parent")
    strange = copy_of(CALLBACKS, callback, {**fresh(CALLBACKS), "job_type": "'another'"})
    words = "no row of jobs is its parent"
    yield Probe("a callback with another job_type", strange, refused=True, words=words)
    hostile = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe("a callback refused in a hostile place", hostile + strange, refused=True, words=words)
    for state in JOBS.lifecycle.by_name:
        of = copy_of(CALLBACKS, callback, {**fresh(CALLBACKS), "job_id": f"'{fixture.key(JOBS, state)}'"})
        if state == "completed":
            yield Probe(f"a callback of a {state} job", of, "$changed = 1")
        else:
            yield Probe(f"a callback of a {state} job", of, refused=True, words=words)
    born = copy_of(CALLBACKS, callback, fresh(CALLBACKS))
    yield Probe("a callback made by somebody who sees no jobs", born, "$changed = 1", role=JANITOR)
    strangers = [
        key
        for (machine, state), keys in fixture.keys.items()
        if machine == "job"
        for key in keys
        if state != "completed"
    ]
    many = copy_of(CALLBACKS, callback, {**fresh(CALLBACKS), "job_id": "p.job_id"})
    many = many.replace(" WHERE ", f", app.jobs AS p WHERE p.job_id IN ({', '.join(map(repr, strangers))}) AND ")
    for way in IN_TWO_WAYS:
        yield Probe(f"the first of wrong callbacks {way}", way + many, refused=True, words=min(strangers))


def _of_closed_parents(fixture: FixtureRows) -> Iterator[Probe]:
    """Nothing is added to what is closed, nothing closed over what is open, by any client."""
    task, stage = fixture.key(TASKS, "queued"), fixture.key(STAGES, "pending")
    for state in STAGES.lifecycle.by_name:
        key = fixture.key(STAGES, state)
        into = {"stage_id": key, "job_id": f"(SELECT job_id FROM app.stages WHERE stage_id = {key})"}  # noqa: S608
        sql = copy_of(TASKS, task, {**fresh(TASKS), **into})
        yield Probe(
            f"a task into a {state} stage", sql, None if state != "processing" else COUNTED, state != "processing"
        )
    for state in JOBS.lifecycle.by_name:
        key, room = fixture.key(JOBS, state), "SET LOCAL session_replication_role = replica; "
        room += f"UPDATE app.jobs SET stage_count = 2, stages_completed = {2 if state == 'completed' else 1}"  # noqa: S608
        room += f" WHERE job_id = '{key}'; SET LOCAL session_replication_role = origin; "
        sql = copy_of(STAGES, stage, {**fresh(STAGES), "job_id": f"'{key}'"})
        refused = JOBS.lifecycle.by_name[state].terminal
        yield Probe(f"a stage into a {state} job", room + sql, None if refused else "$changed = 1", refused)
    for edge in STAGES.lifecycle.edges:
        if STAGES.lifecycle.by_name[edge.target].terminal and edge.source == "processing":
            for state in ("queued", "processing"):
                holder = f"(SELECT stage_id FROM app.tasks WHERE task_id = '{fixture.key(TASKS, state)}')"  # noqa: S608
                changes = {"status": f"'{edge.target}'", **moved_columns(STAGES, edge), **event_columns_of(edge)}
                sql = update(STAGES, "", changes).replace("stage_id::text = ''", f"stage_id = {holder}")
                words = "stages_closed_when_counted"
                yield Probe(f"a stage {edge.target} over a {state} task", sql, refused=True, words=words, role=ROLE)
    for edge in JOBS.lifecycle.edges:
        if JOBS.lifecycle.by_name[edge.target].terminal and edge.source == "queued":
            holder = f"(SELECT job_id FROM app.stages WHERE stage_id = {stage})"  # noqa: S608 - test SQL
            changes = {"status": f"'{edge.target}'", **moved_columns(JOBS, edge), **event_columns_of(edge)}
            sql = update(JOBS, "", changes).replace("job_id::text = ''", f"job_id = {holder}")
            words = "jobs_ended_when_counted"
            yield Probe(f"a job {edge.target} over an open stage", sql, refused=True, words=words, role=ROLE)


def _of_others(fixture: FixtureRows) -> Iterator[Probe]:
    """What a stage has at its birth is added to its job's."""
    stage = fixture.key(STAGES, "pending")
    names = "INSERT INTO app.stages (tasks_total, tasks_completed, "
    born = copy_of(STAGES, stage, fresh(STAGES)).replace("INSERT INTO app.stages (", names)
    born = born.replace(" SELECT ", " SELECT 5, 5, ", 1)
    job = f"(SELECT job_id FROM app.stages WHERE stage_id = {stage})"  # noqa: S608 - test SQL
    holds = f"$changed = 1 AND (SELECT tasks_total = 5 FROM app.jobs WHERE job_id = {job})"  # noqa: S608 - test SQL
    yield Probe("a stage born with tasks", born, holds)

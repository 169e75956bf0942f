"""Claims: the move into a leased state, which picks its own rows.

The pick reads, for each name the claimer knows, one range of one index in the index's own order, and stops when it has
enough: no plan can sort or scan the queue, whatever the statistics say. Rows that others are claiming are skipped.
"""

from functools import cache

from ..statemachine.errors import DefinitionError
from ..statemachine.lifecycle import Transition
from ..statemachine.records import Queue, Record
from .moves import any_of, assignments, cast_given, element_type, moment_of
from .text import listed, parse, render, source_state

CLAIM = "claim"


@cache
def claim_statement(record: Record, schema: str = "app") -> str:
    """Claim up to %(limit)s due rows whose kind is one of %(kinds)s, in the order of the kinds given.

    Rows whose keys are in %(without)s are left out. Further parameters: lease_owner, lease (seconds), event_type,
    event_status, event_data. Returns the rows won.
    """
    queue, transition = _leasing(record)
    return _claim(record, queue, transition, _picked(record, queue, transition, schema), schema)


@cache
def due_statement(record: Record, schema: str = "app") -> str:
    """The `key` and `job_id` of the rows that a claim with the same %(kinds)s, %(limit)s and %(without)s would win."""
    queue, transition = _leasing(record)
    return rows_of(record, _picked(record, queue, transition, schema), schema)


def rows_of(record: Record, picked: str, schema: str) -> str:
    """The `key` and `job_id` of the rows that `picked` gives."""
    key = record.key.name
    return render(
        parse(
            f"SELECT CAST(r.{key} AS VARCHAR) AS key, r.job_id FROM {schema}.{record.table} AS r"
            f" WHERE r.{key} = ANY(ARRAY({picked}))"
        )
    )


def left_out(record: Record) -> str:
    """That a row `t` is none of those that are to be left out."""
    return f"t.{record.key.name} <> ALL(CAST(%(without)s AS {element_type(record.key.type)}[]))"


def _picked(record: Record, queue: Queue, transition: Transition, schema: str) -> str:
    key, sources = record.key.name, listed(transition.sources)
    order = ", ".join(f"t.{column}" for column in queue.order)
    return (
        f"SELECT q.{key} FROM UNNEST(CAST(%(kinds)s AS VARCHAR[])) AS k(kind) CROSS JOIN LATERAL ("
        f"SELECT t.{key} FROM {schema}.{record.table} AS t WHERE t.status IN ({sources}) AND t.{queue.by} = k.kind"
        f" AND t.due_at <= {schema}.clock() AND {left_out(record)}"
        f" ORDER BY {order} LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED"
        ") AS q LIMIT %(limit)s"
    )


@cache
def claim_by_key_statement(record: Record, schema: str = "app") -> str:
    """Claim the rows named by %(keys)s and %(lease_numbers)s, as far as nobody has claimed them since.

    The lease number fences: a copy of the message of an earlier lease claims nothing, so that it cannot pass by a
    back-off. When the row is due does not matter: its message has come. Waits for a row that is locked, for it may be
    the relay that is just writing down that the message was sent. IS TRUE keeps the planner from the queue's index,
    which it would scan where statistics say that the queue is empty: only the key finds rows.
    """
    queue, transition = _leasing(record)
    key, kind, sources = record.key.name, record.key.type, transition.sources
    keys = f"CAST(%(keys)s AS {element_type(kind)}[])"
    picked = (
        f"SELECT t.{key} FROM {schema}.{record.table} AS t"
        f" JOIN UNNEST({keys}, CAST(%(lease_numbers)s AS INT[])) AS i({key}, lease_number) ON i.{key} = t.{key}"
        f" WHERE t.{key} = {any_of('keys', kind)} AND {source_state('t.status', sources)}"
        f" AND t.lease_number = i.lease_number AND (t.{queue.by} = ANY(CAST(%(kinds)s AS VARCHAR[]))) IS TRUE"
        f" ORDER BY t.{key} FOR NO KEY UPDATE OF t"
    )
    return _claim(record, queue, transition, picked, schema)


def _leasing(record: Record) -> tuple[Queue, Transition]:
    found = tuple(record.lifecycle.transitions_of(CLAIM))
    if record.queue is None or len(found) != 1:
        raise DefinitionError(f"{record.table} is not a queue: it needs a Queue and one transition called {CLAIM}")
    return record.queue, found[0]


def _claim(record: Record, queue: Queue, transition: Transition, picked: str, schema: str) -> str:
    key = record.key.name
    changes = assignments(record, transition, "n.moment", "%({})s")
    sets = ", ".join(f"{column} = {cast_given(record, column, value)}" for column, value in changes.items())
    returns = ", ".join(f"r.{column}" for column in queue.returns)
    return render(
        parse(
            f"UPDATE {schema}.{record.table} AS r SET {sets} FROM {moment_of(schema)}"
            f" WHERE r.{key} = ANY(ARRAY({picked})) AND {source_state('r.status', transition.sources)}"
            f" RETURNING CAST(r.{key} AS VARCHAR) AS key, {returns}",
        ),
    )

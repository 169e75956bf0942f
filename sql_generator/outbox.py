"""Sends: what the relay of a broker does with a queued row, which is its own outbox entry.

`due_at` is when the row's message is sent. Taking a row moves that ahead by the relay's own lease, so that it is sent
again should the relay die; confirming moves it ahead by the time after which a lost message is sent again.
"""

from functools import cache

from ..statemachine.errors import DefinitionError
from ..statemachine.records import Queue, Record
from .claims import left_out, rows_of
from .moves import any_of, element_type, moment_of
from .text import listed, parse, render, source_state


@cache
def take_statement(record: Record, schema: str = "app") -> str:
    """Take up to %(limit)s rows of %(kinds)s whose messages are to be sent, for %(lease)s seconds.

    Rows that were never sent since their last claim are taken %(horizon)s seconds ahead of their time: `delay` says
    how long a message has to wait. Rows whose keys are in %(without)s are left out. Reads one range of the claim's own
    index in its order, and skips what others hold. Returns key, job_id, lease_number, send_number and delay of each.
    """
    _, key, states = _waiting(record)
    waits = source_state("r.status", states)
    lease = "MAKE_INTERVAL(secs => %(lease)s)"
    picked = _picked(record, schema)
    return render(
        parse(
            f"UPDATE {schema}.{record.table} AS r"
            f" SET due_at = GREATEST(r.due_at, n.moment) + {lease}, send_number = r.send_number + 1"
            f" FROM {moment_of(schema)}"
            f" WHERE r.{key} = ANY(ARRAY({picked})) AND {waits}"
            f" RETURNING CAST(r.{key} AS VARCHAR) AS key, r.job_id, r.lease_number, r.send_number,"
            f" CAST(EXTRACT(EPOCH FROM r.due_at - {lease} - n.moment) AS FLOAT8) AS delay",
        ),
    )


@cache
def to_send_statement(record: Record, schema: str = "app") -> str:
    """The `key` and `job_id` of the rows that would be taken with the same parameters."""
    return rows_of(record, _picked(record, schema), schema)


def _picked(record: Record, schema: str) -> str:
    queue, key, states = _waiting(record)
    order = ", ".join(f"t.{column}" for column in queue.order)
    return (
        f"SELECT q.{key} FROM UNNEST(CAST(%(kinds)s AS VARCHAR[])) AS k(kind) CROSS JOIN LATERAL ("
        f"SELECT t.{key} FROM {schema}.{record.table} AS t"
        f" WHERE t.status IN ({listed(states)}) AND t.{queue.by} = k.kind"
        f" AND t.due_at <= {schema}.clock() + MAKE_INTERVAL(secs => %(horizon)s)"
        f" AND (t.send_number = 0 OR t.due_at <= {schema}.clock()) AND {left_out(record)}"
        f" ORDER BY {order} LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED"
        ") AS q LIMIT %(limit)s"
    )


@cache
def confirm_statement(record: Record, schema: str = "app") -> str:
    """The messages of %(keys)s with their %(lease_numbers)s and %(send_numbers)s have been sent.

    Each is sent again %(resend)s seconds after it was due, doubled with every time it was sent, at most %(most)s.
    A row that has been claimed, postponed or taken again meanwhile stays as it is, and so does one that is locked:
    whoever holds it is about to. Returns the keys of the others.
    """
    _, key, states = _waiting(record)
    waits = source_state("r.status", states)
    keys = f"CAST(%(keys)s AS {element_type(record.key.type)}[])"
    again = "LEAST(CAST(%(most)s AS FLOAT8), %(resend)s * POWER(2, LEAST(r.send_number - 1, 30)))"
    return render(
        parse(
            f"UPDATE {schema}.{record.table} AS r SET due_at = r.due_at + MAKE_INTERVAL(secs => {again} - %(lease)s)"
            f" FROM UNNEST({keys}, CAST(%(lease_numbers)s AS INT[]), CAST(%(send_numbers)s AS INT[]))"
            f" AS i({key}, lease_number, send_number)"
            f" WHERE r.{key} = i.{key} AND r.lease_number = i.lease_number AND r.send_number = i.send_number"
            f" AND {waits}"
            f" AND r.{key} = ANY(ARRAY(SELECT t.{key} FROM {schema}.{record.table} AS t"
            f" WHERE t.{key} = {any_of('keys', record.key.type)}"
            f" ORDER BY t.{key} FOR NO KEY UPDATE SKIP LOCKED))"
            f" RETURNING CAST(r.{key} AS VARCHAR) AS key",
        ),
    )


@cache
def postpone_statement(record: Record, schema: str = "app") -> str:
    """The message of %(key)s with %(lease_number)s came to one who cannot handle it: sent again in %(delay)s seconds.

    The send number rises, so that the relay that sent it no longer confirms. Returns the key, unless somebody has
    claimed the row.
    """
    _, key, states = _waiting(record)
    waits = source_state("r.status", states)
    return render(
        parse(
            f"UPDATE {schema}.{record.table} AS r"
            f" SET due_at = {schema}.clock() + MAKE_INTERVAL(secs => %(delay)s), send_number = r.send_number + 1"
            f" WHERE r.{key} = CAST(%(key)s AS {record.key.type}) AND r.lease_number = %(lease_number)s"
            f" AND {waits} RETURNING CAST(r.{key} AS VARCHAR) AS key",
        ),
    )


def _waiting(record: Record) -> tuple[Queue, str, tuple[str, ...]]:
    """The queue of a record, its key, and the states in which a row waits for its message."""
    if record.queue is None:
        raise DefinitionError(f"{record.table} is not a queue: its rows have no message")
    states = tuple(state.name for state in record.lifecycle.states if state.deadline == "due_at")
    return record.queue, record.key.name, states

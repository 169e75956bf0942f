"""The statements of a queue, for every record that has one: which rows wait, who holds them, and which were sent.

A pick reads, for each type that the worker or relay names, one range of one index in the index's order, and stops when
it has enough: no plan can sort or scan the queue, whatever the statistics. Rows that are locked are skipped. A
statement that names keys finds its rows only by the key, in the order of the keys.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from ..statemachine.changes import Change
from ..statemachine.errors import DefinitionError
from ..statemachine.lifecycle import Transition
from ..statemachine.queue import Queue, queue_changes, states_of
from ..statemachine.records import Record
from .moves import any_of, assignments, cast_given, element_type, moment_of
from .text import listed, parse, render, source_state


class _Parts(NamedTuple):
    """The parts of the statements of one queue. In conditions `t` is a row of a pick, `r` a row that changes."""

    record: Record
    queue: Queue
    table: str
    key: str
    keys: str
    waits: tuple[str, ...]
    leased: tuple[str, ...]
    changes: Mapping[str, Change]

    @property
    def due(self) -> str:
        """The condition that `t` may be claimed once it is due, written to match the queue's partial index."""
        return f"t.status IN ({listed(self.waits)})" if self.queue.claim else "NOT t.due_at IS NULL"

    def in_queue(self, row: str) -> str:
        """The condition that a row that was found may still be claimed."""
        return source_state(f"{row}.status", self.waits) if self.queue.claim else f"NOT {row}.due_at IS NULL"

    def waiting(self, row: str) -> str:
        """The condition that a row waits and has no lease."""
        return self.in_queue(row) if self.queue.claim else f"{self.in_queue(row)} AND {row}.lease_owner IS NULL"

    def held(self, row: str) -> str:
        """The condition that a row may have a lease, written so that no partial index matches."""
        return source_state(f"{row}.status", self.leased)


@cache
def claim_statement(record: Record, schema: str = "app") -> str:
    """Claim up to %(limit)s due rows whose type is one of %(types)s, in the order of the types given.

    Rows whose keys are in %(without)s are left out. Further parameters: lease_owner, lease (seconds), and, if a claim
    fires a trigger, event_type, event_status, event_data. Returns `key` and the columns of the queue.
    """
    parts = _parts(record, schema)
    return _claim(parts, _due(parts, schema), schema)


@cache
def due_statement(record: Record, schema: str = "app") -> str:
    """`key` and `job_id` of the rows that a claim with the same %(types)s, %(limit)s and %(without)s would win."""
    parts = _parts(record, schema)
    return _rows_of(parts, _due(parts, schema))


@cache
def claim_by_key_statement(record: Record, schema: str = "app") -> str:
    """Claim the rows named by %(keys)s and %(lease_numbers)s, unless they have been claimed since.

    The lease number fences: a copy of the message of an earlier lease claims nothing, so it cannot skip a back-off.
    When the row is due does not matter: its message has arrived. Waits for a locked row, because the relay may be
    recording that the message was sent. IS TRUE keeps the planner from the queue's index, which it would scan if
    statistics show an empty queue: rows are found only by the key.
    """
    parts = _parts(record, schema)
    key = parts.key
    picked = (
        f"SELECT t.{key} FROM {parts.table} AS t"
        f" JOIN UNNEST({parts.keys}, CAST(%(lease_numbers)s AS INT[])) AS i({key}, lease_number) ON i.{key} = t.{key}"
        f" WHERE t.{key} = {any_of('keys', record.key.type)} AND {parts.waiting('t')}"
        f" AND t.lease_number = i.lease_number AND (t.{parts.queue.by} = ANY(CAST(%(types)s AS VARCHAR[]))) IS TRUE"
        f" ORDER BY t.{key} FOR NO KEY UPDATE OF t"
    )
    return _claim(parts, picked, schema)


@cache
def lease_for_send_statement(record: Record, schema: str = "app") -> str:
    """Lease up to %(limit)s rows of %(types)s whose messages are to be sent, for %(lease)s seconds.

    Rows whose message was not sent since their last claim are leased %(horizon)s seconds before they are due; `delay`
    is how long the message has to wait. Rows whose keys are in %(without)s are left out. Returns key, job_id,
    lease_number, send_number and delay.
    """
    parts = _parts(record, schema)
    change = parts.changes["lease_for_send"]
    return render(
        parse(
            f"UPDATE {parts.table} AS r SET {_sets(change)} FROM {moment_of(schema)}"
            f" WHERE r.{parts.key} = ANY(ARRAY({_to_send(parts, schema)})) AND {parts.in_queue('r')}"
            f" RETURNING {_text_key(parts)} AS key, r.job_id, r.lease_number, r.send_number,"
            f" CAST(EXTRACT(EPOCH FROM r.due_at - MAKE_INTERVAL(secs => %(lease)s) - n.moment) AS FLOAT8) AS delay",
        ),
    )


@cache
def to_send_statement(record: Record, schema: str = "app") -> str:
    """`key` and `job_id` of the rows that `lease_for_send_statement` would lease with the same parameters."""
    parts = _parts(record, schema)
    return _rows_of(parts, _to_send(parts, schema))


@cache
def confirm_sent_statement(record: Record, schema: str = "app") -> str:
    """Record that the messages of %(keys)s with their %(lease_numbers)s and %(send_numbers)s were sent.

    Each is sent again %(resend)s seconds after it was due, doubled each time it was sent, at most %(most)s. A row that
    was claimed, redirected or leased again meanwhile does not change, nor does a locked row: its holder is about
    to change it. Returns the keys of the others.
    """
    parts = _parts(record, schema)
    return _change_by_key(
        parts,
        "confirm_sent",
        schema,
        given={"lease_number": "INT", "send_number": "INT"},
        condition=parts.waiting("r"),
        waits=False,
    )


@cache
def redirect_statement(record: Record, schema: str = "app") -> str:
    """The message of %(key)s with %(lease_number)s reached a worker that cannot run it: send it again in %(delay)s s.

    The send number rises, so that the relay that sent it no longer confirms. Returns the key, unless the row has been
    claimed.
    """
    parts = _parts(record, schema)
    return _change_one(parts, "redirect", parts.waiting("r"), schema)


@cache
def acknowledge_statement(record: Record, schema: str = "app") -> str:
    """Record that the message of %(key)s, claimed under %(lease_number)s, was handled.

    Returns the key, unless a later message waits.

    Only for a queue whose claim fires no trigger; in others a move ends the lease.
    """
    parts = _parts(record, schema)
    return _change_one(parts, "acknowledge", "NOT r.lease_owner IS NULL", schema)


@cache
def retry_later_statement(record: Record, schema: str = "app") -> str:
    """Record that the message of %(key)s, claimed under %(lease_number)s, failed: it is due in %(delay)s seconds."""
    parts = _parts(record, schema)
    return _change_one(parts, "retry_later", "NOT r.lease_owner IS NULL", schema)


@cache
def requeue_statement(record: Record, schema: str = "app") -> str:
    """Make the rows of %(keys)s due now. Waits for locked rows. Returns their keys."""
    parts = _parts(record, schema)
    return _change_by_key(parts, "requeue", schema, condition=_in_states(parts, "requeue"))


@cache
def requeue_stalled_statement(record: Record, schema: str = "app") -> str:
    """Make those rows of %(keys)s due now that are processing with no message and no open child. Returns their keys.

    Locked rows are skipped.
    """
    parts = _parts(record, schema)
    children = parts.queue.children
    if children is None:
        raise DefinitionError(f"{record.table}: a row without children cannot stall")
    unopened = f"NOT EXISTS(SELECT 1 FROM {schema}.{children.table} AS c WHERE c.{children.key} = t.{parts.key}"
    under_way = f" AND t.due_at IS NULL AND {unopened} AND c.status = 'processing')"
    condition = _in_states(parts, "requeue")
    return _change_by_key(parts, "requeue", schema, condition=condition, picked=under_way, waits=False)


@cache
def renew_statement(record: Record, schema: str = "app") -> str:
    """Renew for %(lease)s seconds the leases of %(owner)s on %(keys)s under %(lease_numbers)s.

    %(begun)s is, for each, whether its handler has begun: until then its deadline moves with the lease. Locked rows
    are skipped, not waited for: a renewal that waits holds other locks, and could deadlock. Returns `key`
    and `stop_reason`, why the worker is asked to stop.
    """
    parts = _parts(record, schema)
    queue, parent = parts.queue, record.parent
    stop, join, joined = "CAST(NULL AS VARCHAR)", "", ""
    if queue.stop is not None and parent is not None:
        stop, join = f"p.{queue.stop}", f", {schema}.{parent.table} AS p"
        joined = f" AND p.{parent.key} = r.{parent.key}"
    return _change_by_key(
        parts,
        "renew",
        schema,
        given={"lease_number": "INT", "begun": "BOOLEAN"},
        condition=f"r.lease_owner = %(owner)s AND {parts.held('r')}{joined}",
        waits=False,
        join=join,
        returns=f", {stop} AS stop_reason",
    )


@cache
def held_statement(record: Record, schema: str = "app") -> str:
    """`key` and `lease_number` of every row that %(owner)s holds."""
    parts = _parts(record, schema)
    leased = f"t.status IN ({listed(parts.leased)})" if parts.queue.claim else "NOT t.due_at IS NULL"
    return render(
        parse(
            f"SELECT CAST(t.{parts.key} AS VARCHAR) AS key, t.lease_number FROM {parts.table} AS t"
            f" WHERE {leased} AND t.lease_owner = %(owner)s"
        )
    )


@cache
def messages_statement(record: Record, schema: str = "app") -> str:
    """The state of the rows of %(keys)s: key, job_id, type, status, lease_number, and whether each is `waiting`.

    Read after a claim by key: it decides only how the messages that won nothing are settled.
    """
    parts = _parts(record, schema)
    waiting = f"t.status IN ({listed(parts.waits)})" if parts.queue.claim else parts.waiting("t")
    return render(
        parse(
            f"SELECT CAST(t.{parts.key} AS VARCHAR) AS key, t.job_id, t.{parts.queue.by} AS type, t.status,"
            f" t.lease_number, {waiting} AS waiting FROM {parts.table} AS t"
            f" WHERE t.{parts.key} = {any_of('keys', record.key.type)}"
        )
    )


def queue_statements(record: Record, schema: str = "app") -> dict[str, str]:
    """Every statement of a record's queue, by the name of its operation."""
    parts = _parts(record, schema)
    made = {
        "claim": claim_statement,
        "due": due_statement,
        "claim_by_key": claim_by_key_statement,
        "lease_for_send": lease_for_send_statement,
        "to_send": to_send_statement,
        "confirm_sent": confirm_sent_statement,
        "redirect": redirect_statement,
        "renew": renew_statement,
        "held": held_statement,
        "messages": messages_statement,
    }
    if parts.queue.claim is None:
        made |= {"acknowledge": acknowledge_statement, "requeue": requeue_statement}
    if parts.queue.failures is not None:
        made["retry_later"] = retry_later_statement
    if parts.queue.children is not None:
        made["requeue_stalled"] = requeue_stalled_statement
    return {name: make(record, schema) for name, make in made.items()}


def queue_views(records: tuple[Record, ...], schema: str) -> list[str]:
    """Two views over all queues: `waiting_rows`, each row that waits for a worker or a message, and `leased_rows`."""
    queues = [_parts(record, schema) for record in records if record.queue is not None]
    waiting = " UNION ALL ".join(
        f"SELECT {_described(parts)}, t.send_number, t.due_at FROM {parts.table} AS t WHERE {parts.due}"
        for parts in queues
    )
    leased = " UNION ALL ".join(
        f"SELECT {_described(parts)}, t.lease_owner, t.lease_expires_at, {_deadline(parts)} AS deadline_at"
        f" FROM {parts.table} AS t WHERE {_leased(parts)}"
        for parts in queues
    )
    return [
        render(parse(f"CREATE OR REPLACE VIEW {schema}.{name} AS {query}"))
        for name, query in (("waiting_rows", waiting), ("leased_rows", leased))
    ]


def _described(parts: _Parts) -> str:
    queue = parts.queue
    subject = f"'{queue.name} ' || t.{queue.label}" if queue.label else f"'{queue.name}'"
    return (
        f"CAST('{queue.name}' AS VARCHAR) AS queue, CAST(t.{parts.key} AS VARCHAR) AS key, t.job_id,"
        f" CAST({subject} AS VARCHAR) AS subject, t.{queue.by} AS type, t.lease_number"
    )


def _leased(parts: _Parts) -> str:
    return f"t.status IN ({listed(parts.leased)})" if parts.queue.claim else "NOT t.lease_owner IS NULL"


def _deadline(parts: _Parts) -> str:
    return f"t.{parts.queue.handler_deadline}" if parts.queue.handler_deadline else "CAST(NULL AS TIMESTAMPTZ)"


def _parts(record: Record, schema: str) -> _Parts:
    queue = record.queue
    if queue is None:
        raise DefinitionError(f"{record.table} is not a queue")
    if queue.claim is not None and len(tuple(record.lifecycle.transitions_of(queue.claim))) != 1:
        raise DefinitionError(f"{record.table} is not a queue: it needs one transition called {queue.claim}")
    waits, leased = states_of(queue, record.lifecycle)
    return _Parts(
        record,
        queue,
        f"{schema}.{record.table}",
        record.key.name,
        f"CAST(%(keys)s AS {element_type(record.key.type)}[])",
        waits,
        leased,
        queue_changes(queue, record.lifecycle),
    )


def _text_key(parts: _Parts) -> str:
    return f"CAST(r.{parts.key} AS VARCHAR)"


def _due(parts: _Parts, schema: str) -> str:
    return _pick(parts, f"t.due_at <= {schema}.clock()")


def _to_send(parts: _Parts, schema: str) -> str:
    unleased = "" if parts.queue.claim else " AND t.lease_owner IS NULL"
    return _pick(
        parts,
        f"t.due_at <= {schema}.clock() + MAKE_INTERVAL(secs => %(horizon)s)"
        f" AND (t.due_at <= {schema}.clock() OR t.send_number = 0{unleased})",
    )


def _pick(parts: _Parts, due: str) -> str:
    """The keys of up to %(limit)s rows that are `due`, type by type, locked; rows locked by others are skipped."""
    key, order = parts.key, ", ".join(f"t.{column}" for column in parts.queue.order)
    left_out = f"t.{key} <> ALL(CAST(%(without)s AS {element_type(parts.record.key.type)}[]))"
    return (
        f"SELECT q.{key} FROM UNNEST(CAST(%(types)s AS VARCHAR[])) AS k(type) CROSS JOIN LATERAL ("
        f"SELECT t.{key} FROM {parts.table} AS t WHERE {parts.due} AND t.{parts.queue.by} = k.type"
        f" AND {due} AND {left_out}"
        f" ORDER BY {order} LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED"
        ") AS q LIMIT %(limit)s"
    )


def _rows_of(parts: _Parts, picked: str) -> str:
    return render(
        parse(
            f"SELECT {_text_key(parts)} AS key, r.job_id FROM {parts.table} AS r"
            f" WHERE r.{parts.key} = ANY(ARRAY({picked}))"
        )
    )


def _claim(parts: _Parts, picked: str, schema: str) -> str:
    record, queue = parts.record, parts.queue
    if queue.claim is None:
        changes = {column: one.value for column, one in parts.changes["claim"].columns.items()}
    else:
        changes = assignments(record, _transition(record, queue.claim), "n.moment", "%({})s")
    sets = ", ".join(f"{column} = {cast_given(record, column, value)}" for column, value in changes.items())
    returns = ", ".join(f"r.{column}" for column in queue.returns)
    return render(
        parse(
            f"UPDATE {parts.table} AS r SET {sets} FROM {moment_of(schema)}"
            f" WHERE r.{parts.key} = ANY(ARRAY({picked})) AND {parts.in_queue('r')}"
            f" RETURNING {_text_key(parts)} AS key, {returns}{_with_children(parts, schema)}",
        ),
    )


def _transition(record: Record, trigger: str) -> Transition:
    return next(record.lifecycle.transitions_of(trigger))


def _with_children(parts: _Parts, schema: str) -> str:
    children = parts.queue.children
    if children is None:
        return ""
    columns = ", ".join(f"c.{column}" for column in children.columns)
    return (
        f", (SELECT JSON_AGG(f ORDER BY f.{children.order}) FROM (SELECT {columns} FROM {schema}.{children.table} AS c"
        f" WHERE c.{children.key} = r.{parts.key}) AS f) AS {children.table}"
    )


def _sets(change: Change) -> str:
    return ", ".join(f"{column} = {one.value}" for column, one in change.columns.items())


def _change_by_key(  # noqa: PLR0913 - each by its name
    parts: _Parts,
    name: str,
    schema: str,
    *,
    condition: str,
    given: Mapping[str, str] | None = None,
    picked: str = "",
    waits: bool = True,
    join: str = "",
    returns: str = "",
) -> str:
    """A change of the rows in %(keys)s, which are locked in the order of their keys.

    `given` are columns of the row that must equal a further array parameter, its name in the plural; `begun` is not a
    column. `picked` is a further condition on the row when it is locked, `waits` whether to wait for locked rows.
    """
    change, key = _change(parts, name), parts.key
    columns = given or {}
    arrays = ", ".join([parts.keys, *(f"CAST(%({_plural(one)})s AS {kind}[])" for one, kind in columns.items())])
    same = "".join(f" AND r.{one} = i.{one}" for one in columns if one != "begun")
    return render(
        parse(
            f"UPDATE {parts.table} AS r SET {_sets(change)} FROM {moment_of(schema)},"
            f" UNNEST({arrays}) AS i({', '.join((key, *columns))}){join}"
            f" WHERE r.{key} = i.{key}{same} AND {condition}"
            f" AND r.{key} = ANY(ARRAY(SELECT t.{key} FROM {parts.table} AS t"
            f" WHERE t.{key} = {any_of('keys', parts.record.key.type)}{picked}"
            f" ORDER BY t.{key} FOR NO KEY UPDATE{'' if waits else ' SKIP LOCKED'}))"
            f" RETURNING {_text_key(parts)} AS key{returns}",
        ),
    )


def _plural(column: str) -> str:
    return column if column == "begun" else f"{column}s"


def _change_one(parts: _Parts, name: str, condition: str, schema: str) -> str:
    """A change of the row %(key)s under %(lease_number)s."""
    change = _change(parts, name)
    return render(
        parse(
            f"UPDATE {parts.table} AS r SET {_sets(change)} FROM {moment_of(schema)}"
            f" WHERE r.{parts.key} = CAST(%(key)s AS {parts.record.key.type}) AND r.lease_number = %(lease_number)s"
            f" AND {condition} AND {source_state('r.status', change.states)}"
            f" RETURNING {_text_key(parts)} AS key",
        ),
    )


def _change(parts: _Parts, name: str) -> Change:
    if name not in parts.changes:
        raise DefinitionError(f"{parts.record.table}: its queue has no change called {name}")
    return parts.changes[name]


def _in_states(parts: _Parts, name: str) -> str:
    return source_state("r.status", _change(parts, name).states)

"""What each statement of a queue must do: to which rows, what it leaves in them, and what it answers."""
# ruff: noqa: S608 - test SQL

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Json

from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import JOBS, STAGES, TASKS
from tests.integration.declared import DAY
from tests.integration.rows import OWNER
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.of_queues import PICKS, QueueStatement
from tests.mutants.probes import restored, update
from tests.mutants.probes_of_moves import UNSORTED, literal
from tests.mutants.rules_of_changes import GUARDED, Prepared, rows_of, texts

MINE = "mine"
"""The type of the rows that a probe is about: no other row has it."""
LEASE, DELAY, HORIZON, RESEND, MOST = 60, 50, 300, 40, 250
CHANGED: Mapping[str, Sequence[str]] = {
    "lease_for_send": ("due_at", "send_number", "lease_owner", "lease_expires_at"),
    "confirm_sent": ("due_at",),
    "redirect": ("due_at", "send_number"),
    "acknowledge": ("due_at", "lease_owner", "lease_expires_at", "message_failures"),
    "requeue": ("due_at", "lease_owner", "lease_expires_at"),
    "requeue_stalled": ("due_at", "lease_owner", "lease_expires_at"),
    "retry_later": ("due_at", "lease_owner", "lease_expires_at", "message_failures"),
}
"""Which columns differ afterwards at most, where it is the same for each queue."""
READS = ("due", "to_send", "held", "messages")
ONE = ("redirect", "acknowledge", "retry_later")
"""Statements that are given one key."""
SPAN = 90
"""The time-out of a row that has one, in seconds."""


class Case(NamedTuple):
    """A statement and a row that it is given, with what is passed to it."""

    statement: QueueStatement
    row: Prepared
    given: Mapping[str, Any]

    def but(self, **given: object) -> "Case":
        """The same with other parameters."""
        return self._replace(given={**self.given, **given})

    @property
    def sql(self) -> str:
        """The statement, whose answer is kept."""
        return answered(self.statement, self.given)


def answered(statement: QueueStatement, given: Mapping[str, Any]) -> str:
    """The statement, with its answer kept in the table `answer`."""
    kept = "INSERT INTO answer SELECT to_jsonb(a) FROM answered AS a"
    return f"WITH answered AS ({literal(statement.sql, given)}) {kept}"


def of_queue(statement: QueueStatement, fixture: FixtureRows) -> Iterator[Probe]:
    """Every probe of one statement of a queue."""
    for state in statement.record.lifecycle.by_name:
        for row in rows_of(statement.record, fixture, state):
            if row.row["due_at"] is not None and row.row["due_at"] > datetime.now(UTC) + DAY:
                continue  # nothing is sent so long ahead of its time
            case = Case(statement, row, parameters(statement.record, row))
            yield from _of_case(case)
            yield from _of_others(case)
            if "claim" in statement.kind:
                yield from _of_case(case, " with a past", **_past(statement.record, row))
    yield from _of_several(statement, fixture)
    if statement.record.queue is not None and statement.record.queue.children and "claim" in statement.kind:
        yield _of_children(statement, fixture)


def parameters(record: Record, row: Prepared) -> dict[str, Any]:
    """What names this row, as whoever has read it would."""
    number, sent, owner = (row.row[column] for column in ("lease_number", "send_number", "lease_owner"))
    edge = next((one for one in record.lifecycle.edges if one.transition.trigger == "claim"), None)
    event = {} if edge is None else {"event_type": edge.transition.event.type, "event_data": '{"n": 1}'}
    event |= {} if edge is None else {"event_status": edge.transition.event.status}
    return {
        "key": row.key,
        "keys": [row.key],
        "lease_number": number,
        "lease_numbers": [number],
        "send_numbers": [sent],
        "begun": [True],
        "types": [MINE],
        "limit": 100,
        "without": [],
        "owner": owner or OWNER,
        "lease_owner": "a claimer",
        "lease": LEASE,
        "delay": DELAY,
        "horizon": HORIZON,
        "resend": RESEND,
        "most": MOST,
        **event,
    }


def _past(record: Record, row: Prepared) -> dict[str, object]:
    """What a row holds that has moved before, may take some time, and was given something to work on."""
    edge = next((one for one in record.lifecycle.edges if one.target == row.row["status"]), None)
    past: dict[str, object] = {}
    if edge is not None:
        event = edge.transition.event
        past = {"event_type": event.type, "event_status": event.status, "event_data": Json({"told": 1})}
        past["move_number"] = row.row["move_number"] + 3
    names = {column.name for column in record.columns}
    values = {"timeout": timedelta(seconds=SPAN), "item": Json({"n": 2})}
    return past | {name: value for name, value in values.items() if name in names}


def _of_case(case: Case, about: str = "", **columns: object) -> Iterator[Probe]:
    """The statement wins the row or leaves it alone, as the declaration says."""
    record = case.statement.record
    case = _with(case, {_by(record): MINE, **columns})
    key = f"WHERE {record.key.name}::text = '{case.row.key}'"
    before = f"INSERT INTO before_{record.table} SELECT * FROM app.{record.table} {key}; "
    name = f"{case.statement.name}, {case.row.name}{about}"
    here = f"FROM app.{record.table} AS r JOIN before_{record.table} AS b USING ({record.key.name})"
    if not wins(case):
        same = f"(SELECT to_jsonb(r) = to_jsonb(b) {here})"
        holds = f"$changed = (SELECT count(*) FROM answer WHERE it ->> 'key' <> '{case.row.key}') AND {same}"
    else:
        said = " AND ".join([*after(case), *answers(case)])
        if case.statement.kind not in {*PICKS, "held"}:
            said += f" AND NOT EXISTS (SELECT FROM answer AS o WHERE o.it ->> 'key' <> '{case.row.key}')"
        holds = f"EXISTS (SELECT {here} JOIN answer AS a ON a.it ->> 'key' = '{case.row.key}' WHERE {said})"
    yield Probe(name, case.row.preparation + before + case.sql, holds)


def _with(case: Case, columns: Mapping[str, Any]) -> Case:
    row, record = case.row, case.statement.record
    prepared = restored(update(record, row.key, texts(columns))) + f"; {GUARDED}"
    row = row._replace(preparation=row.preparation + prepared, row={**row.row, **columns})
    return case._replace(row=row)


def _by(record: Record) -> str:
    assert record.queue is not None
    return record.queue.by


def _of_others(case: Case) -> Iterator[Probe]:
    """Another lease, another message, another owner, another type, or another time."""
    number, sent = case.row.row["lease_number"], case.row.row["send_number"]
    for step in (-1, 1):
        other = case.but(lease_number=number + step, lease_numbers=[number + step])
        yield from _of_case(other, f" under another lease, {step}")
        yield from _of_case(case.but(send_numbers=[sent + step]), f" sent otherwise, {step}")
    yield from _of_case(case.but(types=["another"]), " of another type")
    yield from _of_case(case.but(without=[case.row.key]), " left out")
    yield from _of_case(case.but(owner="another"), " of another owner")
    yield from _of_case(case.but(begun=[False]), " not begun")
    if case.row.row["due_at"] is not None:
        for due in ("in the horizon", "beyond it", "long ago"):
            at = {"in the horizon": 200, "beyond it": 400, "long ago": -4000}[due]
            later = datetime.now(UTC) + timedelta(seconds=at)
            yield from _of_case(case, f" due {due}", due_at=later)
            if due == "in the horizon" and sent > 0:
                yield from _of_case(case, f" due {due}, not sent", due_at=later, send_number=0)
    yield from _of_case(case.but(resend=1e-7, most=1e9, send_numbers=[60]), " sent often", send_number=60)


def wins(case: Case) -> bool:
    """Whether the statement changes or answers this row."""
    row, given, record = case.row.row, case.given, case.statement.record
    own = record.queue is not None and record.queue.claim is None
    states, now = record.lifecycle.by_name, datetime.now(UTC)
    ended, processing = states[row["status"]].terminal, row["status"] == "processing"
    queued = row["due_at"] is not None if own else row["status"] == "queued"
    waiting = queued and (not own or row["lease_owner"] is None)
    held = not ended if own else processing
    leased = row["lease_owner"] is not None
    number = row["lease_number"] == given["lease_number"]
    typed = row[_by(record)] in given["types"]
    left = case.row.key not in given["without"]
    due = row["due_at"] is not None and row["due_at"] <= now
    soon = row["due_at"] is not None and row["due_at"] <= now + timedelta(seconds=HORIZON)
    unsent = row["send_number"] == 0 and not (own and leased)
    sent = row["send_number"] == given["send_numbers"][0]
    mine = row["lease_owner"] == given["owner"]
    won: dict[str, object] = {
        "claim": queued and due and typed and left,
        "due": queued and due and typed and left,
        "claim_by_key": waiting and number and typed,
        "lease_for_send": queued and typed and left and (due or (soon and unsent)),
        "to_send": queued and typed and left and (due or (soon and unsent)),
        "confirm_sent": waiting and number and sent,
        "redirect": waiting and number,
        "acknowledge": leased and processing and number,
        "retry_later": leased and not ended and number,
        "requeue": processing,
        "requeue_stalled": processing and row["due_at"] is None,
        "renew": held and number and mine,
        "held": (queued if own else processing) and mine,
        "messages": True,
    }
    return bool(won[case.statement.kind])


def after(case: Case) -> Iterator[str]:
    """What holds of the row `r` afterwards, which was `b`."""
    statement, row = case.statement, case.row.row
    kind, record = statement.kind, statement.record
    own = record.queue is not None and record.queue.claim is None
    values: dict[str, str] = {}
    if kind in {"claim", "claim_by_key"}:
        values = {
            "lease_owner": "r.lease_owner = 'a claimer'",
            "lease_number": "r.lease_number = b.lease_number + 1",
            "send_number": "r.send_number = 0",
            "lease_expires_at": _in("lease_expires_at", LEASE),
            "due_at": _in("due_at", LEASE) if own else "r.due_at IS NULL",
        }
        if not own:
            yield "r.status = 'processing' AND r.event_data = '{\"n\": 1}'"
            yield "r.move_number = b.move_number + 1"
            limited = row["timeout"] is not None
            values["deadline_at"] = _in("deadline_at", _seconds(row)) if limited else "r.deadline_at IS NULL"
            values["started_at"] = _in("started_at", 0)
    elif kind == "renew":
        values = {"lease_expires_at": _in("lease_expires_at", LEASE)}
        values |= {"due_at": _in("due_at", LEASE)} if own else {}
        if record is TASKS and not case.given["begun"][0]:
            limited = row["timeout"] is not None
            values["deadline_at"] = _in("deadline_at", _seconds(row)) if limited else "r.deadline_at IS NULL"
    elif kind not in READS:
        values = {column: _left_in(case, column) for column in CHANGED[kind]}
    yield from values.values()
    moved = {"status", "move_number", "event_type", "event_status", "event_data"}
    ignored = {*values, *(moved if kind.startswith("claim") and not own else ())}
    listed = ", ".join(f"'{column}'" for column in sorted(ignored)) or "''"
    yield f"to_jsonb(r) - ARRAY[{listed}] = to_jsonb(b) - ARRAY[{listed}]"


def _seconds(row: Mapping[str, Any]) -> int:
    return int(row["timeout"].total_seconds())


def _in(column: str, seconds: int) -> str:
    return f"r.{column} - app.clock() BETWEEN interval '{seconds - 20} s' AND interval '{seconds} s'"


def _left_in(case: Case, column: str) -> str:
    """What a change that is the same for each queue leaves in a column."""
    kind, own = case.statement.kind, case.statement.record is JOBS
    if column == "send_number":
        return "r.send_number = b.send_number + 1"
    if column == "message_failures" and kind == "retry_later":
        return "r.message_failures = coalesce(b.message_failures, 0) + 1"
    if column != "due_at":
        return f"r.{column} IS NULL" if own else f"r.{column} IS NOT DISTINCT FROM b.{column}"
    if kind == "confirm_sent":
        given, sent = case.given, case.row.row["send_number"]
        again = min(given["most"], given["resend"] * math.pow(2, min(sent - 1, 30))) - LEASE
        return f"r.due_at - b.due_at BETWEEN interval '{again - 0.01} s' AND interval '{again + 0.01} s'"
    return {
        "lease_for_send": f"r.due_at - greatest(b.due_at, app.clock()) BETWEEN interval '{LEASE - 20} s'"
        f" AND interval '{LEASE} s'",
        "redirect": _in("due_at", DELAY),
        "retry_later": _in("due_at", DELAY),
        "acknowledge": "r.due_at IS NULL",
    }.get(kind, _in("due_at", 0))


def answers(case: Case) -> Iterator[str]:
    """What holds of the answer `a.it` about the row `r`."""
    statement = case.statement
    record, kind = statement.record, statement.kind
    assert record.queue is not None
    columns: Mapping[str, Sequence[str]] = {
        "claim": record.queue.returns,
        "claim_by_key": record.queue.returns,
        "due": ("job_id",),
        "to_send": ("job_id",),
        "lease_for_send": ("job_id", "lease_number", "send_number"),
        "held": ("lease_number",),
        "messages": ("job_id", "status", "lease_number"),
    }
    for column in columns.get(kind, ()):
        yield f"a.it -> '{column}' IS NOT DISTINCT FROM coalesce(to_jsonb(r.{column}), 'null')"
    if kind == "lease_for_send":
        delay = "greatest(0, extract(epoch FROM b.due_at - app.clock()))::float8"
        yield f"(a.it ->> 'delay')::float8 - {delay} BETWEEN -0.1 AND 20"
    if kind == "messages":
        waiting = wins(case._replace(statement=statement._replace(kind="redirect")))
        yield f"a.it ->> 'type' = r.{record.queue.by}"
        yield f"a.it -> 'waiting' = '{str(waiting or _late(case)).lower()}'"
    if kind == "renew":
        parent = "(SELECT s.stop_reason FROM app.stages AS s WHERE s.stage_id = r.stage_id)"
        stop = parent if record is TASKS else "NULL"
        yield f"a.it ->> 'stop_reason' IS NOT DISTINCT FROM {stop}"


def _late(case: Case) -> bool:
    """Whether a row waits whose lease number is not the one that was named."""
    number = case.row.row["lease_number"]
    return wins(case._replace(statement=case.statement._replace(kind="redirect")).but(lease_number=number))


def _of_several(statement: QueueStatement, fixture: FixtureRows) -> Iterator[Probe]:
    """Several rows: each is named by its own numbers, and those are picked that have been due for longest."""
    record, kind = statement.record, statement.kind
    keys = rows_for(statement, fixture)
    rows = [fixture.rows[record.machine, key] for key in keys]
    given = {**parameters(record, Prepared("", keys[0], "", rows[0])), "keys": keys, "begun": [True] * len(keys)}
    given["lease_numbers"] = [row["lease_number"] for row in rows]
    given["send_numbers"] = [row["send_number"] for row in rows]
    listed = ", ".join(f"'{key}'" for key in keys)
    mine = f"UPDATE app.{record.table} SET {_by(record)} = '{MINE}' WHERE {record.key.name}::text IN ({listed})"
    prepared = f"{restored(mine)}; {GUARDED}"
    name = f"{statement.name} of several"
    if kind in PICKS:
        yield from _of_picks(statement, keys, given, prepared)
    elif kind in ONE:
        alike = f"UPDATE app.{record.table} SET lease_number = 5 WHERE {record.key.name}::text IN ({listed})"
        sql = f"{restored(alike)}; {GUARDED}{answered(statement, {**given, 'lease_number': 5})}"
        one = f"$changed = 1 AND (SELECT it ->> 'key' = '{keys[0]}' FROM answer)"
        yield Probe(f"{statement.name} of one of several under the same lease", sql, one)
    elif kind in {"renew", "messages", "claim_by_key", "confirm_sent", "requeue", "requeue_stalled"}:
        all_won = f"(SELECT count(DISTINCT it ->> 'key') = {len(keys)} AND count(*) = {len(keys)} FROM answer)"
        yield Probe(name, prepared + answered(statement, given), all_won)
        some = {**given, **{one: given[one][:2] for one in ("keys", "lease_numbers", "send_numbers", "begun")}}
        yield Probe(f"{name}, but one", prepared + answered(statement, some), "$changed = 2")
        for column in ("lease_number", "send_number"):
            if kind in {"renew", "claim_by_key", "confirm_sent"} and (column, kind) != ("send_number", "claim_by_key"):
                yield from _of_swapped(statement, given, prepared, column)
    if kind == "renew" and record is TASKS:
        stop = "UPDATE app.stages SET stop_reason = 'cancel' WHERE stage_id = "
        stop += f"(SELECT stage_id FROM app.tasks WHERE task_id = '{keys[0]}'); "
        asked = f"(SELECT it ->> 'stop_reason' = 'cancel' FROM answer WHERE it ->> 'key' = '{keys[0]}')"
        asked += f" AND (SELECT it ->> 'stop_reason' IS NULL FROM answer WHERE it ->> 'key' = '{keys[1]}')"
        yield Probe(f"{name}, stopped", f"{restored(stop)}{GUARDED}{answered(statement, given)}", asked)
    if kind == "requeue_stalled":
        yield from _of_stalled(statement, fixture)


def _of_swapped(statement: QueueStatement, given: Mapping[str, Any], prepared: str, column: str) -> Iterator[Probe]:
    """Two rows whose numbers differ, and which are named by each other's."""
    record, (one, other) = statement.record, given["keys"][:2]
    number = given[f"{column}s"][0]
    raised = restored(update(record, one, {column: f"{number + 1}"})) + f"; {GUARDED}"
    two = {**given, **{name: given[name][:2] for name in ("keys", "lease_numbers", "send_numbers", "begun")}}
    if statement.kind != "renew" or column == "lease_number":
        for numbers, won in (([number + 1, number], 2), ([number, number + 1], 0)):
            sql = prepared + raised + answered(statement, {**two, f"{column}s": numbers})
            yield Probe(f"{statement.name} of {one} and {other}, {column} {numbers}", sql, f"$changed = {won}")


def _of_picks(
    statement: QueueStatement, keys: Sequence[str], given: Mapping[str, Any], prepared: str
) -> Iterator[Probe]:
    record = statement.record
    where = f"WHERE {record.key.name}::text"
    for limit in (1, 2, 3):
        sql = prepared + answered(statement, {**given, "limit": limit})
        yield Probe(f"{statement.name}, {limit} of 3", sql, f"$changed = {limit}")
    two = {**given, "types": [MINE, "another"], "limit": 1}
    some = f"UPDATE app.{record.table} SET {_by(record)} = 'another' {where} = '{keys[0]}'"
    sql = f"{prepared}{restored(some)}; {GUARDED}{answered(statement, two)}"
    yield Probe(f"{statement.name}, one of two types", sql, "$changed = 1")
    for one in keys:
        ahead = [update(record, key, {"due_at": "app.clock() - interval '1 hour'"}) for key in keys if key != one]
        ahead.append(update(record, one, {"due_at": "app.clock() - interval '2 hours'"}))
        sql = f"{UNSORTED}{prepared}{restored('; '.join(ahead))}; {GUARDED}{answered(statement, {**given, 'limit': 1})}"
        yield Probe(f"{statement.name}, the first", sql, f"(SELECT it ->> 'key' = '{one}' FROM answer)")
    yield from _of_ties(statement, keys, given, prepared)


def _of_ties(
    statement: QueueStatement, keys: Sequence[str], given: Mapping[str, Any], prepared: str
) -> Iterator[Probe]:
    """Of those that are due at the same time the first by the next column is picked."""
    record = statement.record
    assert record.queue is not None
    for one in keys if len(record.queue.order) > 1 else ():
        # The row that is updated last is the last in the table.
        turned = sorted(keys, key=lambda key: key != one)
        same = [update(record, key, {"due_at": "'2020-01-01'"}) for key in turned]
        first = one if record is TASKS else min(keys, key=int)
        if record is TASKS:
            same += [update(record, key, {"task_number": "7" if key == one else "8"}) for key in keys]
        sql = f"{UNSORTED}{prepared}{restored('; '.join(same))}; {GUARDED}{answered(statement, {**given, 'limit': 1})}"
        yield Probe(f"{statement.name}, the first of those due", sql, f"(SELECT it ->> 'key' = '{first}' FROM answer)")


def _of_stalled(statement: QueueStatement, fixture: FixtureRows) -> Iterator[Probe]:
    """A job whose stage is open is not stalled, and another job's open stage does not matter."""
    key = fixture.key(JOBS, "processing")
    given = parameters(JOBS, Prepared("", key, "", fixture.rows["job", key]))
    for status, won in (("processing", 0), ("pending", 1)):
        tied = {"started_at": "now()" if status == "processing" else "NULL", "finished_at": "NULL"}
        sets = ", ".join(f"{column} = {value}" for column, value in tied.items())
        stage = f"UPDATE app.stages SET status = '{status}', job_id = '{key}', stage = 7, name = 'seventh', {sets}"
        stage += f" WHERE stage_id = {fixture.key(STAGES, 'cancelled')}"
        sql = f"{restored(stage)}; {GUARDED}{answered(statement, given)}"
        yield Probe(f"{statement.name} with a {status} stage", sql, f"$changed = {won}")


def _of_children(statement: QueueStatement, fixture: FixtureRows) -> Probe:
    """A claimed job comes with its stages in their order, each with what the worker needs of it."""
    children = JOBS.queue.children if JOBS.queue else None
    assert children is not None
    stage = fixture.rows["stage", fixture.keys["stage", "pending"][0]]
    job = {"lease_number": 0, "send_number": 0, "lease_owner": None}
    given = {**parameters(JOBS, Prepared("", stage["job_id"], "", job))}
    mine = restored(f"UPDATE app.jobs SET job_type = '{MINE}' WHERE job_id = '{stage['job_id']}'") + f"; {GUARDED}"
    listed = ", ".join(f"'{column}', to_jsonb(s.{column})" for column in children.columns)
    expected = f"SELECT jsonb_agg(jsonb_build_object({listed}) ORDER BY s.stage) FROM app.stages AS s"
    expected += f" WHERE s.job_id = '{stage['job_id']}'"
    holds = f"(SELECT it -> 'stages' = ({expected}) AND jsonb_array_length(it -> 'stages') = 2 FROM answer)"
    return Probe(f"{statement.name} with its stages", UNSORTED + mine + answered(statement, given), holds)


def rows_for(statement: QueueStatement, fixture: FixtureRows) -> list[str]:
    """Three rows that the statement may win, in the order of the table."""
    record, kind = statement.record, statement.kind
    if kind in {"renew", "held"} or (kind in ONE and kind != "redirect"):
        return list(fixture.leased_jobs if record is JOBS else fixture.keys[record.machine, "processing"])
    if kind in {"requeue", "requeue_stalled"}:
        return list(fixture.keys[record.machine, "processing"])
    return list(fixture.keys[record.machine, record.lifecycle.initial.name])

"""The guards: triggers that refuse an illegal move from any client, and write the event of a move that names none.

A guard's rule is in its WHEN clause, so that a legal move pays for no function call. It knows the legal
combinations of source, target, event and the event's status, all from the declaration; its function only
writes the error message.

The rule of changes without a move is in a function: it is many times longer, and PostgreSQL parses a WHEN clause again
for each statement, a function once a session.
"""

from collections.abc import Iterator

from sqlglot import exp

from ..statemachine.lifecycle import Lifecycle
from ..statemachine.records import Record, Schema
from .changes import same, undeclared_change, undeclared_move
from .text import listed, one_of, parse, quoted, render

ILLEGAL_MOVE = "CM001"
ILLEGAL_INSERT = "CM002"
EVENT_WITHOUT_MOVE = "CM003"
KEY_CHANGED = "CM004"
KEPT_CHANGED = "CM007"

LEGAL_TABLE = """\
CREATE TABLE IF NOT EXISTS {schema}.legal_transitions (
  machine VARCHAR(40) NOT NULL,
  trigger VARCHAR(40) NOT NULL,
  source VARCHAR(20) NOT NULL,
  target VARCHAR(20) NOT NULL,
  event_type VARCHAR(50) NOT NULL,
  event_status VARCHAR(20) NOT NULL,
  CONSTRAINT legal_transitions_pkey PRIMARY KEY (machine, trigger, source)
)"""

REFUSE_MOVE = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_move() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  subject text := TG_ARGV[0] || ' ' || (to_jsonb(NEW) ->> TG_ARGV[1]);
  legal text;
  event_fits boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '% cannot be created % with event % (%)', subject, NEW.status, coalesce(NEW.event_type, 'none'),
      coalesce(NEW.event_status, 'none')
      USING ERRCODE = '{illegal_insert}',
            HINT = format('A new %s is %s, and has not moved.', TG_ARGV[0], TG_ARGV[2]);
  END IF;
  SELECT string_agg(format('%s (%s)', t.target, t.trigger), ', ' ORDER BY t.target, t.trigger),
         coalesce(bool_or(t.target = NEW.status), false)
    INTO legal, event_fits
    FROM {schema}.legal_transitions AS t WHERE t.machine = TG_ARGV[0] AND t.source = OLD.status;
  IF event_fits THEN
    RAISE EXCEPTION '%: % → % cannot have event % (%) number %', subject, OLD.status, NEW.status,
      coalesce(NEW.event_type, 'none'), coalesce(NEW.event_status, 'none'), NEW.move_number
      USING ERRCODE = '{illegal_move}', DETAIL = format('The last move was number %s.', OLD.move_number),
      HINT = 'Do not set the event columns, or set them as the lifecycle declares.';
  END IF;
  RAISE EXCEPTION '%: % → % is not a legal move; legal from %: %', subject, OLD.status, NEW.status, OLD.status,
    coalesce(legal, 'nothing') USING ERRCODE = '{illegal_move}';
END $body$"""

STAMP_MOVE = """\
CREATE OR REPLACE FUNCTION {schema}.stamp_move() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  edge text := (SELECT a.edge FROM unnest(TG_ARGV) WITH ORDINALITY AS a(edge, place)
                WHERE starts_with(a.edge, OLD.status || ' ' || NEW.status || ' ') ORDER BY a.place LIMIT 1);
BEGIN
  IF edge IS NOT NULL THEN
    NEW.move_number := OLD.move_number + 1;
    NEW.event_type := split_part(edge, ' ', 3);
    NEW.event_status := CASE split_part(edge, ' ', 4) WHEN 'failure' THEN 'failure' ELSE 'warning' END;
    NEW.event_data := jsonb_build_object('reason', 'moved by a client that gave no event', 'source', OLD.status,
      'target', NEW.status, 'client', current_setting('application_name'), 'user', session_user);
  END IF;
  RETURN NEW;
END $body$"""

EVENT_CHANGED = (
    "OLD.status = NEW.status AND (NEW.move_number, NEW.event_type, NEW.event_status, NEW.event_data)"
    " IS DISTINCT FROM (OLD.move_number, OLD.event_type, OLD.event_status, OLD.event_data)"
)

REFUSE_EVENT = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION '% %: an event (% number %) without a move; the row stays %', TG_ARGV[0],
    to_jsonb(NEW) ->> TG_ARGV[1], coalesce(NEW.event_type, 'none'), NEW.move_number, OLD.status
    USING ERRCODE = '{event_without_move}', HINT = 'Only moves write events.';
END $body$"""

REFUSE_CHANGE = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_change_of(subject text, was jsonb, wanted jsonb, on_table oid)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  changed text := (SELECT string_agg(n.key, ', ' ORDER BY n.key) FROM jsonb_each(wanted) AS n
                   WHERE n.value IS DISTINCT FROM was -> n.key);
BEGIN
  IF current_setting('coremachine.repairing', true) = 'on'
    AND pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name,
      (SELECT c.relowner FROM pg_class AS c WHERE c.oid = on_table), 'USAGE') THEN
    RETURN;
  END IF;
  RAISE EXCEPTION '%: no declared change allows this of %; the row stays %', subject,
    coalesce(changed, 'a row that has ended'), was ->> 'status'
    USING ERRCODE = '{kept_changed}', HINT = 'A late result overwrites nothing. To run the work again, resume it.';
END $body$"""

REFUSE_EVERY_CHANGE = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM {schema}.refuse_change_of(TG_ARGV[0] || ' ' || (to_jsonb(OLD) ->> TG_ARGV[1]), to_jsonb(OLD), to_jsonb(NEW),
    TG_RELID);
  RETURN NEW;
END $body$"""

REFUSE_UNDECLARED = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_undeclared_{machine}() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF {undeclared} THEN
    PERFORM {schema}.refuse_change_of('{machine} ' || OLD.{key}, to_jsonb(OLD), to_jsonb(NEW), TG_RELID);
  END IF;
  RETURN NEW;
END $body$"""

REFUSE_KEY = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_key() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION '% %: its key cannot become %', TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1], to_jsonb(NEW) ->> TG_ARGV[1]
    USING ERRCODE = '{key_changed}', HINT = 'Events refer to their row by its key. Create another row.';
END $body$"""


def legal_table(schema: str) -> exp.Expr:
    """The table that lists every legal transition, for people and for error messages."""
    return parse(LEGAL_TABLE.format(schema=schema))


def legal_rows(records: Schema, schema: str) -> list[exp.Expr]:
    """Statements that make the legal-transition table equal to the declaration."""
    columns = "machine, trigger, source, target, event_type, event_status"
    rows = [
        (record.machine, edge.transition.trigger, edge.source, edge.target, event.type, event.status)
        for record in records.records
        for edge in record.lifecycle.edges
        for event in (edge.transition.event,)
    ]
    values = ", ".join(f"({', '.join(map(quoted, row))})" for row in rows)
    machines = ", ".join(quoted(record.machine) for record in records.records)
    keys = ", ".join(f"({', '.join(map(quoted, row[:3]))})" for row in rows)
    table = f"{schema}.legal_transitions"
    return [
        parse(f"DELETE FROM {table} WHERE machine IN ({machines}) AND NOT (machine, trigger, source) IN ({keys})"),
        parse(
            f"INSERT INTO {table} AS t ({columns}) VALUES {values} ON CONFLICT (machine, trigger, source) DO UPDATE"
            " SET target = EXCLUDED.target, event_type = EXCLUDED.event_type, event_status = EXCLUDED.event_status"
            " WHERE (t.target, t.event_type, t.event_status)"
            " IS DISTINCT FROM (EXCLUDED.target, EXCLUDED.event_type, EXCLUDED.event_status)",
        ),
    ]


def guard_functions(schema: str) -> list[str]:
    """The functions behind the guards, shared by all records."""
    codes = {
        "illegal_move": ILLEGAL_MOVE,
        "illegal_insert": ILLEGAL_INSERT,
        "event_without_move": EVENT_WITHOUT_MOVE,
        "key_changed": KEY_CHANGED,
        "kept_changed": KEPT_CHANGED,
    }
    templates = (REFUSE_MOVE, STAMP_MOVE, REFUSE_EVENT, REFUSE_CHANGE, REFUSE_EVERY_CHANGE, REFUSE_KEY)
    return [template.format(schema=schema, **codes) for template in templates]


def change_guard(record: Record, schema: str) -> list[str]:
    """The function that refuses undeclared changes of this record's open rows; an application's record has none."""
    if record.changes is None:
        return []
    undeclared = render(parse(undeclared_change(record, schema)))
    names = {"schema": schema, "machine": record.machine, "key": record.key.name}
    return [REFUSE_UNDECLARED.format(undeclared=undeclared, **names)]


def guard_triggers(record: Record, schema: str) -> list[exp.Expr]:
    """The triggers of one table, which PostgreSQL fires in the order of their names.

    A client that sets an event must set the declared one. If it sets none, a trigger stamps it, after the guard of the
    moves that set one; a move that cannot be stamped is not legal.
    """
    table, machine, key = record.table, record.machine, record.key.name
    on = f"ON {schema}.{table} FOR EACH ROW"
    initial, edges = record.lifecycle.initial.name, _edges(record.lifecycle)
    return [
        parse(f"CREATE OR REPLACE TRIGGER {name} BEFORE {event} {on} WHEN ({rule}) EXECUTE FUNCTION {schema}.{call}")
        for name, event, rule, call in (
            (
                f"{table}_0_key",
                f"UPDATE OF {key}",
                f"OLD.{key} <> NEW.{key}",
                f"refuse_key('{machine}', '{key}')",
            ),
            (
                f"{table}_2_guard",
                "UPDATE OF status",
                f"NEW.move_number <> OLD.move_number AND {_illegal_move(edges)}",
                f"refuse_move('{machine}', '{key}')",
            ),
            (
                f"{table}_2_stamp",
                "UPDATE OF status",
                "NEW.move_number = OLD.move_number",
                f"stamp_move({listed(edges)})",
            ),
            (
                f"{table}_2_unstamped",
                "UPDATE OF status",
                "NEW.move_number = OLD.move_number",
                f"refuse_move('{machine}', '{key}')",
            ),
            (
                f"{table}_3_event",
                "UPDATE",
                EVENT_CHANGED,
                f"refuse_event('{machine}', '{key}')",
            ),
            (
                f"{table}_4_birth",
                "INSERT",
                _illegal_insert(record.lifecycle),
                f"refuse_move('{machine}', '{key}', '{initial}')",
            ),
            *(
                (f"{table}_{name}", event, rule, call)
                for name, event, rule, call in (_closed(record) if record.changes is not None else _kept(record))
            ),
        )
    ]


def _closed(record: Record) -> Iterator[tuple[str, str, str, str]]:
    """Undeclared changes of CoreMachine's rows: with a move, after the end, or without a move."""
    refuse = f"refuse_change('{record.machine}', '{record.key.name}')"
    yield "5_moved", "UPDATE OF status", f"OLD.status <> NEW.status AND {undeclared_move(record)}", refuse
    yield "6_ended", "UPDATE", f"OLD.status = NEW.status AND {one_of('OLD.status', record.ends)}", refuse
    yield "7_changed", "UPDATE", "OLD.status = NEW.status", f"refuse_undeclared_{record.machine}()"


def _kept(record: Record) -> Iterator[tuple[str, str, str, str]]:
    """Undeclared changes of an application's rows: of what its moves set; after its end, of all tied columns."""
    refuse = f"refuse_change('{record.machine}', '{record.key.name}')"
    if record.kept:
        changed = f"NOT {same(record, record.kept)}"
        yield "5_kept", f"UPDATE OF {', '.join(record.kept)}", f"OLD.status = NEW.status AND {changed}", refuse
    tied = [one.column for one in record.state_columns] + [one.name for one in record.columns if one.immutable]
    if tied:
        ended = f"OLD.status = NEW.status AND {one_of('OLD.status', record.ends)}"
        yield "6_ended", "UPDATE", f"{ended} AND NOT {same(record, tuple(dict.fromkeys(tied)))}", refuse


def _edges(lifecycle: Lifecycle) -> tuple[str, ...]:
    """Each legal move as its source, target, event and the event's status."""
    edges = ((edge.source, edge.target, edge.transition.event) for edge in lifecycle.edges)
    return tuple(sorted({f"{source} {target} {event.type} {event.status}" for source, target, event in edges}))


def _illegal_move(edges: tuple[str, ...]) -> str:
    move = "OLD.status || ' ' || NEW.status || ' ' || NEW.event_type || ' ' || NEW.event_status"
    return f"(({one_of(move, edges)}) IS NOT TRUE OR NEW.move_number <> OLD.move_number + 1)"


def _illegal_insert(lifecycle: Lifecycle) -> str:
    rule = f"NEW.status <> {quoted(lifecycle.initial.name)} OR NEW.move_number <> 0"
    if lifecycle.created is None:
        return f"{rule} OR NOT NEW.event_type IS NULL OR NOT NEW.event_status IS NULL"
    event = f"{lifecycle.created.type} {lifecycle.created.status}"
    return f"{rule} OR (NEW.event_type || ' ' || NEW.event_status) IS DISTINCT FROM {quoted(event)}"

"""The guards: triggers that refuse an illegal move from any client, and give a nameless one its event.

A guard's rule stands in its WHEN clause, so that a legal move pays for no function call. It knows the legal
triples of source, target and event, all from the declaration; the function behind it only words the refusal.
"""

from sqlglot import exp

from ..statemachine.lifecycle import Lifecycle
from ..statemachine.records import Record, Schema
from .text import one_of, parse, quoted

ILLEGAL_MOVE = "CM001"
ILLEGAL_BIRTH = "CM002"
EVENT_WITHOUT_MOVE = "CM003"
KEY_CHANGED = "CM004"
OUTCOME_CHANGED = "CM007"

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
CREATE OR REPLACE FUNCTION {schema}.refuse_move() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
  subject text := TG_ARGV[0] || ' ' || (to_jsonb(NEW) ->> TG_ARGV[1]);
  legal text;
  event_fits boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '% cannot be born % with event %', subject, NEW.status, coalesce(NEW.event_type, 'none')
      USING ERRCODE = '{illegal_birth}',
            HINT = format('A %s is born %s, before its first move.', TG_ARGV[0], TG_ARGV[2]);
  END IF;
  SELECT string_agg(format('%s (%s)', t.target, t.trigger), ', ' ORDER BY t.target, t.trigger),
         coalesce(bool_or(t.target = NEW.status), false)
    INTO legal, event_fits
    FROM {schema}.legal_transitions AS t WHERE t.machine = TG_ARGV[0] AND t.source = OLD.status;
  IF event_fits THEN
    RAISE EXCEPTION '%: % → % cannot be told by event % number %', subject, OLD.status, NEW.status,
      coalesce(NEW.event_type, 'none'), NEW.move_number
      USING ERRCODE = '{illegal_move}', DETAIL = format('The last move was number %s.', OLD.move_number),
      HINT = 'Leave the event columns alone, or set them as the move of the lifecycle does.';
  END IF;
  RAISE EXCEPTION '%: % → % is not a legal move; legal from %: %', subject, OLD.status, NEW.status, OLD.status,
    coalesce(legal, 'nothing') USING ERRCODE = '{illegal_move}';
END $body$"""

STAMP_MOVE = """\
CREATE OR REPLACE FUNCTION {schema}.stamp_move() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  SELECT t.event_type INTO NEW.event_type FROM {schema}.legal_transitions AS t
    WHERE t.machine = TG_ARGV[0] AND t.source = OLD.status AND t.target = NEW.status
    ORDER BY t.trigger LIMIT 1;
  IF FOUND THEN
    NEW.move_number := OLD.move_number + 1;
    NEW.event_status := 'warning';
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
CREATE OR REPLACE FUNCTION {schema}.refuse_event() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION '% %: an event (% number %) without a move; the row stays %', TG_ARGV[0],
    to_jsonb(NEW) ->> TG_ARGV[1], coalesce(NEW.event_type, 'none'), NEW.move_number, OLD.status
    USING ERRCODE = '{event_without_move}', HINT = 'Events are written by moves alone.';
END $body$"""

REFUSE_OUTCOME = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_outcome() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION '% %: what it ended with does not change without a move; the row stays %', TG_ARGV[0],
    to_jsonb(NEW) ->> TG_ARGV[1], OLD.status
    USING ERRCODE = '{outcome_changed}', HINT = 'A late result overwrites nothing. To run the work again, resume it.';
END $body$"""

REFUSE_KEY = """\
CREATE OR REPLACE FUNCTION {schema}.refuse_key() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION '% %: its key cannot become %', TG_ARGV[0], to_jsonb(OLD) ->> TG_ARGV[1], to_jsonb(NEW) ->> TG_ARGV[1]
    USING ERRCODE = '{key_changed}', HINT = 'Events find their row by its key. Make another row.';
END $body$"""


def legal_table(schema: str) -> exp.Expr:
    """The table that lists every legal transition, for people and for the words of a refusal."""
    return parse(LEGAL_TABLE.format(schema=schema))


def legal_rows(records: Schema, schema: str) -> list[exp.Expr]:
    """Statements that make the legal-transition table say what the declaration says, and nothing else."""
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
        "illegal_birth": ILLEGAL_BIRTH,
        "event_without_move": EVENT_WITHOUT_MOVE,
        "key_changed": KEY_CHANGED,
        "outcome_changed": OUTCOME_CHANGED,
    }
    templates = (REFUSE_MOVE, STAMP_MOVE, REFUSE_EVENT, REFUSE_OUTCOME, REFUSE_KEY)
    return [template.format(schema=schema, **codes) for template in templates]


def guard_triggers(record: Record, schema: str) -> list[exp.Expr]:
    """The triggers of one table. PostgreSQL fires them in the order of their names: first the stamp, then the guard."""
    table, machine, key = record.table, record.machine, record.key.name
    on = f"ON {schema}.{table} FOR EACH ROW"
    initial = record.lifecycle.initial.name
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
                f"{table}_1_stamp",
                "UPDATE OF status",
                "OLD.status <> NEW.status AND NEW.move_number = OLD.move_number",
                f"stamp_move('{machine}')",
            ),
            (
                f"{table}_2_guard",
                "UPDATE OF status",
                f"({_legal(record.lifecycle)}) IS NOT TRUE OR NEW.move_number <> OLD.move_number + 1",
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
                _illegal_birth(record.lifecycle),
                f"refuse_move('{machine}', '{key}', '{initial}')",
            ),
            *(
                (
                    f"{table}_5_{column}",
                    f"UPDATE OF {column}",
                    f"OLD.status = NEW.status AND {_changed(column)}",
                    f"refuse_outcome('{machine}', '{key}')",
                )
                for column in record.outcome
            ),
        )
    ]


def _changed(column: str) -> str:
    """That a column has another value. JSON is compared as text: it has no equality."""
    return f"CAST(OLD.{column} AS TEXT) IS DISTINCT FROM CAST(NEW.{column} AS TEXT)"


def _legal(lifecycle: Lifecycle) -> str:
    triples = sorted({f"{e.source} {e.target} {e.transition.event.type}" for e in lifecycle.edges})
    return one_of("OLD.status || ' ' || NEW.status || ' ' || NEW.event_type", tuple(triples))


def _illegal_birth(lifecycle: Lifecycle) -> str:
    told = quoted(lifecycle.created.type) if lifecycle.created else "NULL"
    return (
        f"NEW.status <> {quoted(lifecycle.initial.name)} OR NEW.move_number <> 0"
        f" OR NEW.event_type IS DISTINCT FROM {told}"
    )

"""What the event log and the roles must keep to: who may write what, and that nothing written is rewritten."""

from collections.abc import Collection, Iterator, Mapping
from uuid import uuid4

from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.records import MOVE_COLUMNS
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import moved_columns, stamped_edge
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.probes import copy_of, event_columns_of, fresh, recorded_once, restored, update

ROLE = worker_role("app")
ALONE = uuid4().hex[:8]
READER = f"coremachine_mutants_reader_{ALONE}"
JANITOR = f"coremachine_mutants_janitor_{ALONE}"
HOSTILE = "hostile"
KEPT: Mapping[str, Mapping[str, str]] = {
    "workers": {
        "worker": "'w'",
        "started_at": "now()",
        "seen_at": "now()",
        "stopped_at": "now()",
        "runs": "0",
        "failures": "0",
        "last_error": "'{}'",
        "found": "'{}'",
        "loops": "'{}'",
        "bus": "'postgres'",
        "unsent_s": "0",
        "dead_letters": "0",
    },
    "set_aside": {
        "step": "'claim'",
        "item": "'i'",
        "job_id": "'j'",
        "since": "now()",
        "times": "1",
        "until": "now()",
        "error": "'{}'",
        "worker": "'w'",
    },
    "dead_letters": {"queue": "'q'", "message_id": "'m'", "digest": "'d'", "reason": "'r'", "description": "''"},
}
"""What workers write beside records: tables, with their columns and a value for each."""
NO_TIMES = ("'-infinity'", "'infinity'", "'9999-01-01 00:00:00+00'")
WRONG: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "workers": {
        "found": ("'[]'",),
        "loops": ("'1'",),
        **dict.fromkeys(("runs", "failures", "dead_letters", "unsent_s"), ("-1",)),
        "unsent_s": ("-1", "'NaN'", "1e9"),
        **dict.fromkeys(("started_at", "seen_at", "stopped_at"), NO_TIMES),
    },
    "set_aside": {"error": ("'[]'",), "times": ("0",), **dict.fromkeys(("since", "until"), NO_TIMES)},
}
"""Values that nobody could read."""
CHANGED = ("workers", "set_aside")
NULLABLE = {"workers": ("stopped_at", "last_error", "unsent_s"), "set_aside": ("job_id",)}
LOCKS = ("ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")

SETTING = (
    f"CREATE ROLE {READER} NOLOGIN",
    f"CREATE ROLE {JANITOR} NOLOGIN",
    f"GRANT USAGE ON SCHEMA app TO {READER}, {JANITOR}",
    f"GRANT SELECT, INSERT, DELETE ON app.job_events TO {JANITOR}",
    f"CREATE SCHEMA {HOSTILE}",
    f"CREATE FUNCTION {HOSTILE}.never(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
    f"CREATE OPERATOR {HOSTILE}.<> (FUNCTION = {HOSTILE}.never, LEFTARG = varchar, RIGHTARG = varchar)",
    f"CREATE FUNCTION {HOSTILE}.unnest(varchar[]) RETURNS SETOF varchar LANGUAGE sql AS 'SELECT ''nobody''::varchar'",
    f"CREATE FUNCTION {HOSTILE}.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    f"CREATE AGGREGATE {HOSTILE}.sum(int) (SFUNC = int4_sum, STYPE = bigint, INITCOND = '7', FINALFUNC = int8um)",
    f"CREATE FUNCTION {HOSTILE}.split_part(text, text, int) RETURNS text LANGUAGE sql AS $$SELECT 'task_failed'$$",
    f"CREATE FUNCTION {HOSTILE}.format(text, jsonb) RETURNS text LANGUAGE sql AS $$SELECT (1 / 0)::text$$",
    f"CREATE FUNCTION {HOSTILE}.long_ago(timestamptz, interval) RETURNS timestamptz RETURN timestamptz 'infinity'",
    f"CREATE OPERATOR {HOSTILE}.- (FUNCTION = {HOSTILE}.long_ago, LEFTARG = timestamptz, RIGHTARG = interval)",
    f"CREATE FUNCTION {HOSTILE}.always(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    f"CREATE OPERATOR {HOSTILE}.<= (FUNCTION = {HOSTILE}.always, LEFTARG = timestamptz, RIGHTARG = timestamptz)",
    f"GRANT USAGE ON SCHEMA {HOSTILE} TO PUBLIC",
    f"GRANT SELECT, INSERT ON app.callbacks TO {JANITOR}",
)
"""A role that may look, one that was given too much, and a schema whose owner would like to be asked first."""
FORGED = (
    "CREATE TEMP TABLE forged AS SELECT * FROM app.{table} LIMIT 0; CREATE TRIGGER forge AFTER INSERT ON forged"
    " REFERENCING NEW TABLE AS after_move FOR EACH STATEMENT EXECUTE FUNCTION app.{function}()"
)
"""Has one of the functions of triggers look at a table that is none of ours."""

BAIT = """
CREATE TEMP TABLE bait (a INT);
CREATE FUNCTION pg_temp.forge() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM app.write_notes(ARRAY['{job}'], ARRAY[NULL]::varchar[], ARRAY[NULL]::int[], ARRAY[NULL]::int[],
    ARRAY[NULL]::int[], ARRAY['$type'], ARRAY['$status'], ARRAY['{{}}']::jsonb[]);
  RETURN NEW;
END $f$;
CREATE TRIGGER t BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.forge();
INSERT INTO bait VALUES (1)"""
"""Has a note written inside a trigger, where events of moves are let through."""


def note(job: str, event_type: str, status: str = "info") -> str:
    """Have a note written, as a worker does."""
    return (
        f"SELECT app.write_notes(ARRAY['{job}'], ARRAY[NULL]::varchar[], ARRAY[NULL]::int[], ARRAY[NULL]::int[],"
        f" ARRAY[NULL]::int[], ARRAY['{event_type}'], ARRAY['{status}'], ARRAY['{{}}']::jsonb[])"
    )


def written(job: str, event_type: str) -> str:
    """That one event of that type was written for the job."""
    return (
        f"(SELECT count(*) = 1 AND bool_and(job_id = '{job}' AND event_type = '{event_type}') FROM app.job_events"  # noqa: S608
        " WHERE transaction_id = pg_current_xact_id())"
    )


def insert_event(job: str, columns: str = "event_type, event_status", values: str = "'progress', 'info'") -> str:
    """An event written by hand."""
    return f"INSERT INTO app.job_events (job_id, {columns}) VALUES ('{job}', {values})"  # noqa: S608 - test SQL


def of_kept() -> Iterator[Probe]:
    """What workers write beside records can be read by others."""
    for table, columns in WRONG.items():
        for column, values in columns.items():
            for value in values:
                given = {**KEPT[table], column: value}
                insert = f"INSERT INTO app.{table} ({', '.join(given)}) VALUES ({', '.join(given.values())})"  # noqa: S608
                yield Probe(f"{table}.{column} {value}", insert, refused=True)


def of_stamps(fixture: FixtureRows) -> Iterator[Probe]:
    """A stamp looks nothing up in the path of who moved the row."""
    path = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    cancelled = {"status": "'cancelled'", **moved_columns(TASKS, stamped_edge(TASKS, "queued", "cancelled"))}
    stamped = (
        "EXISTS (SELECT FROM app.job_events AS e WHERE e.transaction_id = pg_current_xact_id()"
        " AND e.event_type = 'task_cancelled')"
    )
    sql = path + update(TASKS, fixture.key(TASKS, "queued"), cancelled)
    yield Probe("stamp_move in a hostile path", sql, f"$changed = 1 AND {stamped}")


def of_log(fixture: FixtureRows) -> Iterator[Probe]:
    """Every rule of the log."""
    job = fixture.key(JOBS, "processing")
    for one in NOTES:
        noted = note(job, one.type, one.status)
        yield Probe(f"{one.type} ({one.status}) noted", noted, written(job, one.type), role=ROLE)
        for status in sorted(
            {"success", "failure", "warning", "info"} - {o.status for o in NOTES if o.type == one.type}
        ):
            wrong = note(job, one.type, status)
            yield Probe(f"{one.type} noted as {status}", wrong, refused=True, words="is not a note", role=ROLE)
    yield Probe(
        "a note of no type", note(job, "progress").replace("'progress'", "NULL"), refused=True, words="is not a note"
    )
    yield Probe(
        "a note of no status", note(job, "progress").replace("'info'", "NULL"), refused=True, words="is not a note"
    )
    baited = BAIT.format(job=job)
    yield Probe(
        "an event forged in a trigger",
        baited.replace("$type", "job_failed").replace("$status", "failure"),
        refused=True,
        words="is not a note",
        role=ROLE,
    )
    yield Probe(
        "a note in a trigger",
        baited.replace("$type", "progress").replace("$status", "info"),
        written(job, "progress"),
        role=ROLE,
    )
    for kind in sorted({kind for lifecycle in LIFECYCLES for kind in lifecycle.event_types}):
        yield Probe(f"{kind} noted", note(job, kind), refused=True, words="is not a note", role=ROLE)
        yield Probe(f"{kind} told by hand", insert_event(job, values=f"'{kind}', 'info'"), refused=True)
    for status in ("success", "failure", "warning", "info"):
        yield Probe(f"a {status}", insert_event(job, values=f"'progress', '{status}'"), "$changed = 1")
    yield Probe("an event of no type", insert_event(job, values="'nonsense', 'info'"), refused=True)
    yield Probe("an event of no status", insert_event(job, values="'progress', 'nonsense'"), refused=True)
    yield Probe("an event of no job", insert_event("d" * 64), refused=True)
    for column in ("job_id", "event_type", "event_data", "created_at", "transaction_id"):
        columns = {"job_id": f"'{job}'", "event_type": "'progress'", "event_status": "'info'", column: "NULL"}
        sql = f"INSERT INTO app.job_events ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"  # noqa: S608
        yield Probe(f"an event without {column}", sql, refused=True)
    restored = "SET LOCAL session_replication_role = replica; " + insert_event(job, values="'nonsense', 'info'")
    yield Probe("an event of no type is restored", restored, refused=True)
    twice = (
        "INSERT INTO app.job_events (event_id, job_id, event_type) OVERRIDING SYSTEM VALUE"
        " SELECT event_id, job_id, 'progress' FROM app.job_events LIMIT 1"
    )
    yield Probe("an event twice", twice, refused=True)
    for rewriting in (
        "UPDATE app.job_events SET event_status = 'info'",
        "DELETE FROM app.job_events",
        "SET LOCAL coremachine.retiring = 'on'; UPDATE app.job_events SET event_status = 'info'",
        "TRUNCATE app.job_events",
        "SET LOCAL coremachine.retiring = 'on'; TRUNCATE app.job_events",
    ):
        yield Probe(rewriting, rewriting, refused=True, words="events are never changed")
    yield Probe("a janitor writes", insert_event(job), refused=True, words="may not write into", role=JANITOR)
    swept = "SET LOCAL coremachine.retiring = 'on'; DELETE FROM app.job_events WHERE event_type = 'progress'"
    yield Probe("a janitor retires events", swept, refused=True, role=JANITOR)
    hostile = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe("a janitor retires events in a hostile place", hostile + swept, refused=True, role=JANITOR)


def of_roles(fixture: FixtureRows) -> Iterator[Probe]:
    """What a worker may do, and what it may not."""
    for record in SCHEMA.records:
        edge = record.lifecycle.edges[0]
        key = fixture.key(record, edge.source)
        moved = {"status": f"'{edge.target}'", **moved_columns(record, edge), **event_columns_of(edge)}
        event = edge.transition.event
        once = recorded_once(record, key, f"e.event_type = '{event.type}'")
        yield Probe(f"a worker moves a {record.machine}", update(record, key, moved), once, role=ROLE)
        path = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
        yield Probe(f"a {record.machine} moves in a hostile place", path + update(record, key, moved), once)
        born = copy_of(record, fixture.key(record, record.lifecycle.initial.name), fresh(record))
        yield Probe(f"a worker makes a {record.machine}", born, "$changed = 1", role=ROLE)
        read = f"SELECT FROM app.{record.table}"
        yield Probe(f"a worker reads {record.table}", read, role=ROLE)
        for forbidden in (f"DELETE FROM app.{record.table}", f"TRUNCATE app.{record.table} CASCADE"):  # noqa: S608
            yield Probe(f"a worker tries {forbidden}", forbidden, refused=True, role=ROLE)
        functions = [f"write_{record.machine}_events", *([f"count_{record.table}"] if record.parent else [])]
        for function in functions:
            forged = FORGED.format(table=record.table, function=function)
            words = f"denied for function app.{function}"
            yield Probe(f"a worker forges by {function}", forged, refused=True, words=words, role=ROLE)
        names = [column.name for column in (record.key, *record.columns, *MOVE_COLUMNS)]
        yield from _of_columns(record.table, names, record.inserted, record.changing)
    yield from _of_the_rest(fixture)


def _of_columns(
    table: str, names: Collection[str], inserted: Collection[str], changing: Collection[str]
) -> Iterator[Probe]:
    """Into which columns a worker may write: at birth, and later."""
    for name in names:
        given = f"INSERT INTO app.{table} ({name}) SELECT {name} FROM app.{table} WHERE false"  # noqa: S608
        yield Probe(f"a worker does {given}", given, refused=name not in inserted, role=ROLE)
        changed = f"UPDATE app.{table} SET {name} = {name} WHERE false"  # noqa: S608 - test SQL
        yield Probe(f"a worker does {changed}", changed, refused=name not in changing, role=ROLE)


def _of_the_rest(fixture: FixtureRows) -> Iterator[Probe]:
    job = fixture.key(JOBS, "processing")
    for table, columns in KEPT.items():
        yield Probe(f"a worker reads {table}", f"SELECT FROM app.{table}", role=ROLE)
        may = tuple(columns) if table in CHANGED else ()
        names = [*columns, *(["read_at"] if table == "dead_letters" else [])]
        yield from _of_columns(table, names, tuple(columns), may)
        filled = f"INSERT INTO app.{table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"  # noqa: S608
        yield Probe(f"a worker fills {table}", filled, "$changed = 1", role=ROLE)
        yield Probe(f"{table} twice", f"{filled}; {filled}", refused=True, words="_pkey")
        for column in names:
            none = f"{filled}; UPDATE app.{table} SET {column} = NULL"  # noqa: S608 - test SQL
            yield Probe(f"{table} without {column}", none, refused=column not in NULLABLE.get(table, ()))
        yield Probe(f"a worker empties {table}", f"DELETE FROM app.{table}", refused=True, role=ROLE)  # noqa: S608
    for table in (*(record.table for record in SCHEMA.records), "job_events", "installed", "legal_transitions", *KEPT):
        for mode in LOCKS:
            lock = f"LOCK TABLE app.{table} IN {mode} MODE"
            yield Probe(f"a worker does {lock}", lock, refused=True, words="permission denied", role=ROLE)
    for done in ("SELECT FROM app.job_events", "SELECT FROM app.installed", "SELECT FROM app.legal_transitions"):
        yield Probe(f"a worker does {done}", done, role=ROLE)
    for column in ("machine", "trigger", "source", "target", "event_type", "event_status"):
        none = f"UPDATE app.legal_transitions SET {column} = NULL"  # noqa: S608 - test SQL
        yield Probe(f"a legal transition without {column}", none, refused=True)
    for table in ("legal_transitions", "installed"):
        again = f"INSERT INTO app.{table} TABLE app.{table}"
        yield Probe(f"{table} twice", again, refused=True)
    yield Probe("an installation without digest", "UPDATE app.installed SET digest = NULL", refused=True)
    for forbidden in (
        insert_event(job),
        "DELETE FROM app.legal_transitions",
        "UPDATE app.installed SET digest = 'another'",
        "SELECT app.retire_jobs(now(), 1)",
        f"SELECT app.repair_job('{job}')",
    ):
        yield Probe(f"a worker tries {forbidden}", forbidden, refused=True, role=ROLE)
    yield Probe("a reader notes", note(job, "progress"), refused=True, role=READER)
    path = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe("a note in a hostile place", path + note(job, "progress"), written(job, "progress"))


def of_retiring(fixture: FixtureRows) -> Iterator[Probe]:
    """Whole finished jobs go, with all that is theirs; others stay, and nothing else can be deleted afterwards."""
    ended = [state.name for state in JOBS.lifecycle.states if state.terminal]
    total = f"(SELECT count(*) FROM app.jobs WHERE status IN ({', '.join(map(repr, ended))}))"  # noqa: S608
    for state in JOBS.lifecycle.by_name:
        job = fixture.key(JOBS, state)
        left = f"EXISTS (SELECT FROM app.jobs WHERE job_id = '{job}')"
        gone = f"NOT {left}" if state in ended else left
        yield Probe(f"a {state} job is retired", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", gone)
        yield Probe(f"a {state} job is too young", "SELECT app.retire_jobs(now() - interval '1 hour', 1000)", left)
    for state in CALLBACKS.lifecycle.by_name:
        callback = fixture.key(CALLBACKS, state)
        ending = "SELECT app.retire_jobs(now() + interval '1 hour', 1000)"
        stays = f"EXISTS (SELECT FROM app.callbacks WHERE callback_id = {callback})"
        closed = CALLBACKS.lifecycle.by_name[state].terminal
        for path in ("", f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "):
            name = f"{path}a job with a {state} callback is retired"
            yield Probe(name, path + ending, f"NOT {stays}" if closed else stays)
    most = f"SELECT app.retire_jobs(now() + interval '1 hour', 1); CREATE TEMP TABLE left_over AS SELECT {total} AS n"
    yield Probe("no more jobs are retired than asked for", most, f"(SELECT n FROM left_over) > {len(ended)}")  # noqa: S608
    after = "SELECT app.retire_jobs(now() + interval '1 hour', 1); DELETE FROM app.job_events"
    yield Probe("events are kept after a retirement", after, refused=True)
    task = fixture.key(TASKS, "completed")
    for left in (
        f"EXISTS (SELECT FROM app.tasks WHERE task_id = '{task}')",
        f"EXISTS (SELECT FROM app.job_events WHERE job_id = '{fixture.key(JOBS, 'processing')}')",
    ):
        yield Probe(f"all is retired but {left}", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", left)
    for state in ended:
        job = fixture.key(JOBS, state)
        stage = fixture.key(STAGES, "completed")
        given = f"UPDATE app.stages SET job_id = '{job}', stage = 7, name = 'seventh' WHERE stage_id = {stage}; "  # noqa: S608
        given += f"UPDATE app.tasks SET stage_id = {stage} WHERE task_id = '{task}'; "  # noqa: S608 - test SQL
        retired = "SET LOCAL session_replication_role = origin; SELECT app.retire_jobs(now() + interval '1 hour', 1000)"
        gone = f"NOT EXISTS (SELECT FROM app.tasks WHERE task_id = '{task}')"
        yield Probe(f"a {state} job is retired with its tasks", restored(given) + retired, gone)
    stage = fixture.key(STAGES, "completed")
    whole = f"EXISTS (SELECT FROM app.stages WHERE stage_id = {stage})"
    yield Probe("a stage of a job under way stays", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", whole)

"""What the event log and the roles must keep to: who may write what, and that nothing written is rewritten."""

from collections.abc import Iterator

from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.lifecycles import LIFECYCLES, NOTES
from coremachine.statemachine.records import MOVE_COLUMNS
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import tied_columns
from tests.mutants.attempt import Probe
from tests.mutants.ground import Ground
from tests.mutants.probes import copy_of, fresh, told_as, told_once, update

ROLE = worker_role("app")
READER = "coremachine_mutants_reader"
JANITOR = "coremachine_mutants_janitor"
HOSTILE = "hostile"
LETTER = "INSERT INTO app.dead_letters (queue, message_id, digest, reason, description) VALUES ('q', 'm', 'd', 'r', '')"

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
    f"GRANT USAGE ON SCHEMA {HOSTILE} TO PUBLIC",
)
"""A role that may look, one that was given too much, and a schema whose owner would like to be asked first."""
FORGED = (
    "CREATE TEMP TABLE forged AS SELECT * FROM app.{table} LIMIT 0; CREATE TRIGGER forge AFTER INSERT ON forged"
    " REFERENCING NEW TABLE AS after_move FOR EACH STATEMENT EXECUTE FUNCTION app.write_{machine}_events()"
)
"""Has the event writer look at a table that is none of ours."""


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


def of_log(ground: Ground) -> Iterator[Probe]:
    """Every rule of the log."""
    job = ground.key(JOBS, "processing")
    for one in NOTES:
        yield Probe(f"{one.type} noted", note(job, one.type), written(job, one.type), role=ROLE)
    for kind in sorted({kind for lifecycle in LIFECYCLES for kind in lifecycle.event_types}):
        yield Probe(f"{kind} noted", note(job, kind), refused=True, role=ROLE)
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
        yield Probe(rewriting, rewriting, refused=True, words="is not rewritten")
    yield Probe("a janitor writes", insert_event(job), refused=True, words="may not write into", role=JANITOR)
    swept = "SET LOCAL coremachine.retiring = 'on'; DELETE FROM app.job_events WHERE event_type = 'progress'"
    yield Probe("a janitor retires events", swept, refused=True, role=JANITOR)
    hostile = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe("a janitor retires events in a hostile place", hostile + swept, refused=True, role=JANITOR)


def of_roles(ground: Ground) -> Iterator[Probe]:
    """What a worker may do, and what it may not."""
    for record in SCHEMA.records:
        edge = record.lifecycle.edges[0]
        key = ground.key(record, edge.source)
        moved = {"status": f"'{edge.target}'", **tied_columns(record, edge.target), **told_as(edge)}
        event = edge.transition.event
        once = told_once(record, key, f"e.event_type = '{event.type}'")
        yield Probe(f"a worker moves a {record.machine}", update(record, key, moved), once, role=ROLE)
        path = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
        yield Probe(f"a {record.machine} moves in a hostile place", path + update(record, key, moved), once)
        born = copy_of(record, ground.key(record, record.lifecycle.initial.name), fresh(record))
        yield Probe(f"a worker makes a {record.machine}", born, "$changed = 1", role=ROLE)
        read = f"SELECT FROM app.{record.table}"
        yield Probe(f"a worker reads {record.table}", read, role=ROLE)
        for forbidden in (f"DELETE FROM app.{record.table}", f"TRUNCATE app.{record.table} CASCADE"):  # noqa: S608
            yield Probe(f"a worker tries {forbidden}", forbidden, refused=True, role=ROLE)
        forged = FORGED.format(table=record.table, machine=record.machine)
        yield Probe(f"a worker forges events of a {record.machine}", forged, refused=True, role=ROLE)
        for column in (record.key, *record.columns, *MOVE_COLUMNS):
            changed = f"UPDATE app.{record.table} SET {column.name} = {column.name} WHERE false"  # noqa: S608
            kept = column.name not in record.changing
            yield Probe(f"a worker does {changed}", changed, refused=kept, role=ROLE)
    yield from _of_the_rest(ground)


def _of_the_rest(ground: Ground) -> Iterator[Probe]:
    job = ground.key(JOBS, "processing")
    worker = "INSERT INTO app.workers (worker, seen_at, runs, failures, found) VALUES ('w', now(), 0, 0, '{}')"
    for done in (
        "SELECT FROM app.job_events",
        "SELECT FROM app.installed",
        "SELECT FROM app.legal_transitions",
        "SELECT FROM app.workers",
        worker,
        "UPDATE app.workers SET runs = 1 WHERE runs = 1",
        "DELETE FROM app.workers WHERE runs = 1",
        "SELECT FROM app.dead_letters",
        LETTER,
        "DELETE FROM app.dead_letters WHERE queue = 'q'",
    ):
        yield Probe(f"a worker does {done}", done, role=ROLE)
    yield Probe("a worker twice", f"{worker}; {worker}", refused=True)
    for column in ("worker", "seen_at", "runs", "failures", "found", "started_at", "bus", "dead_letters"):
        none = f"{worker}; UPDATE app.workers SET {column} = NULL"  # noqa: S608 - test SQL
        yield Probe(f"a worker without {column}", none, refused=True)
    yield Probe("a dead letter twice", f"{LETTER}; {LETTER}", refused=True)
    for column in ("queue", "message_id", "digest", "reason", "description", "read_at"):
        none = f"{LETTER}; UPDATE app.dead_letters SET {column} = NULL"  # noqa: S608 - test SQL
        yield Probe(f"a dead letter without {column}", none, refused=True)
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
    ):
        yield Probe(f"a worker tries {forbidden}", forbidden, refused=True, role=ROLE)
    yield Probe("a reader notes", note(job, "progress"), refused=True, role=READER)
    path = f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "
    yield Probe("a note in a hostile place", path + note(job, "progress"), written(job, "progress"))


def of_retiring(ground: Ground) -> Iterator[Probe]:
    """Whole finished jobs go, with all that is theirs; others stay, and nothing else can be deleted afterwards."""
    ended = [state.name for state in JOBS.lifecycle.states if state.terminal]
    total = f"(SELECT count(*) FROM app.jobs WHERE status IN ({', '.join(map(repr, ended))}))"  # noqa: S608
    for state in JOBS.lifecycle.by_name:
        job = ground.key(JOBS, state)
        left = f"EXISTS (SELECT FROM app.jobs WHERE job_id = '{job}')"
        gone = f"NOT {left}" if state in ended else left
        yield Probe(f"a {state} job is retired", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", gone)
        yield Probe(f"a {state} job is too young", "SELECT app.retire_jobs(now() - interval '1 hour', 1000)", left)
    for state in CALLBACKS.lifecycle.by_name:
        callback = ground.key(CALLBACKS, state)
        whose = f"(SELECT job_id FROM app.callbacks WHERE callback_id = {callback})"  # noqa: S608 - test SQL
        ending = (
            f"UPDATE app.jobs SET status = 'processing', due_at = NULL, started_at = now() WHERE job_id = {whose};"  # noqa: S608
            f" UPDATE app.jobs SET status = 'completed', due_at = NULL, finished_at = now(), result = '1'"
            f" WHERE job_id = {whose}; SELECT app.retire_jobs(now() + interval '1 hour', 1000)"
        )
        stays = f"EXISTS (SELECT FROM app.callbacks WHERE callback_id = {callback})"
        closed = CALLBACKS.lifecycle.by_name[state].terminal
        for path in ("", f"SET LOCAL search_path = {HOSTILE}, pg_catalog; "):
            name = f"{path}a job with a {state} callback is retired"
            yield Probe(name, path + ending, f"NOT {stays}" if closed else stays)
    most = f"SELECT app.retire_jobs(now() + interval '1 hour', 1); CREATE TEMP TABLE left_over AS SELECT {total} AS n"
    yield Probe("no more jobs are retired than asked for", most, f"(SELECT n FROM left_over) > {len(ended)}")  # noqa: S608
    after = "SELECT app.retire_jobs(now() + interval '1 hour', 1); DELETE FROM app.job_events"
    yield Probe("events are kept after a retirement", after, refused=True)
    task = ground.key(TASKS, "completed")
    for left in (
        f"EXISTS (SELECT FROM app.tasks WHERE task_id = '{task}')",
        f"EXISTS (SELECT FROM app.job_events WHERE job_id = '{ground.key(JOBS, 'processing')}')",
    ):
        yield Probe(f"all is retired but {left}", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", left)
    stage = ground.key(STAGES, "completed")
    whole = f"EXISTS (SELECT FROM app.stages WHERE stage_id = {stage})"
    yield Probe("a stage of a job under way stays", "SELECT app.retire_jobs(now() + interval '1 hour', 1000)", whole)

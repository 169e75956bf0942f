"""State ⇔ event, for every client: what a worker's role may do, and what not even the owner may."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.sql_generator.roles import worker_role
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.running import finished

FORGED = (
    "CREATE TEMP TABLE forged AS SELECT * FROM app.jobs LIMIT 0; CREATE TRIGGER forge AFTER INSERT ON forged"
    " REFERENCING NEW TABLE AS after_move FOR EACH STATEMENT EXECUTE FUNCTION app.write_job_events()"
)
EVENT = "INSERT INTO app.job_events (job_id, event_type, event_status) VALUES (%s, %s, 'success')"

NOTE = """SELECT app.write_notes(ARRAY[{0}]::varchar[], ARRAY[NULL]::varchar[], ARRAY[NULL]::int[], ARRAY[NULL]::int[],
  ARRAY[NULL]::int[], ARRAY[{1}]::varchar[], ARRAY[{2}]::varchar[], ARRAY['{{}}']::jsonb[])"""
PRETEXT = f"""
CREATE TABLE public.pretext (job_id varchar, event_type varchar, event_status varchar);
GRANT INSERT ON public.pretext TO PUBLIC;
CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  {NOTE.format("NEW.job_id", "NEW.event_type", "NEW.event_status").replace("SELECT", "PERFORM", 1)};
  RETURN NEW;
END $$;
CREATE TRIGGER tell BEFORE INSERT ON public.pretext FOR EACH ROW EXECUTE FUNCTION public.tell()"""


@task
def give(value: int) -> int:
    return value


GIVE = Job("give", [Stage("give", give)])


@pytest.fixture
def owner(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url, autocommit=True, application_name="psql") as connection:
        yield connection


@pytest.fixture
def worker(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url, autocommit=True, application_name="psql") as connection:
        connection.execute(f"SET ROLE {worker_role('app')}".encode())
        yield connection


async def test_the_connections_of_a_worker_have_taken_its_role(open_app: OpenApp) -> None:
    app = await open_app(GIVE)
    async with app.database.session() as session:
        cursor = await session.connection.execute("SELECT current_user AS who")
        assert await cursor.fetchone() == {"who": worker_role("app")}


@pytest.mark.parametrize(
    "statement",
    [
        FORGED,
        "UPDATE app.job_events SET event_type = 'checkpoint'",
        "DELETE FROM app.job_events",
        "TRUNCATE app.job_events",
        EVENT.replace("%s", "'x'", 1).replace("%s", "'job_completed'", 1),
        EVENT.replace("%s", "'x'", 1).replace("%s", "'checkpoint'", 1),
        "DELETE FROM app.jobs",
        "DELETE FROM app.tasks",
        "UPDATE app.legal_transitions SET target = 'queued'",
        "ALTER TABLE app.tasks DISABLE TRIGGER ALL",
        "DROP TRIGGER tasks_2_guard ON app.tasks",
        "SELECT app.retire_jobs(now(), 10)",
        "CREATE OR REPLACE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()'",
        "UPDATE app.jobs SET parameters = '{}'",
        "UPDATE app.tasks SET job_id = 'another'",
        "UPDATE app.stages SET name = 'another'",
        "UPDATE app.stages SET tasks_open = 0",
        "UPDATE app.stages SET tasks_completed = tasks_total",
        "UPDATE app.jobs SET stages_open = 0",
        "UPDATE app.jobs SET tasks_total = 0",
        "INSERT INTO app.stages (job_id, stage, name, task_type, tasks_total) VALUES ('x', 1, 'x', 'x', 1)",
        "DELETE FROM app.workers",
        "DELETE FROM app.dead_letters",
        "DELETE FROM app.set_aside",
        "DO $$ BEGIN LOCK TABLE app.tasks IN ACCESS EXCLUSIVE MODE; END $$",
        "DO $$ BEGIN LOCK TABLE app.workers IN SHARE MODE; END $$",
        "SELECT app.repair_job('x')",
    ],
)
def test_a_worker_may_not(worker: psycopg.Connection[tuple[Any, ...]], statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute(statement.encode())


async def test_a_workers_role_that_moves_a_row_by_hand_leaves_an_event_with_its_name(
    open_app: OpenApp, worker: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    worker.execute("UPDATE app.stages SET status = 'cancelled', finished_at = now()")
    worker.execute("UPDATE app.jobs SET status = 'cancelled', due_at = NULL, finished_at = now()")
    (event,) = await events_of(app, submitted.id, "job_cancelled")
    assert event["event_status"] == "warning"
    assert event["event_data"]["client"] == "psql"
    assert event["event_data"]["user"] == worker.info.user


@pytest.mark.parametrize(
    ("event_type", "event_status"),
    [("job_completed", "success"), ("no such event", "info"), ("checkpoint", "success"), ("gap_found", None)],
)
async def test_a_note_is_of_a_type_and_a_status_that_were_declared_at_any_depth(
    open_app: OpenApp,
    owner: psycopg.Connection[tuple[Any, ...]],
    worker: psycopg.Connection[tuple[Any, ...]],
    event_type: str,
    event_status: str | None,
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    before = await events_of(app, submitted.id)
    with pytest.raises(psycopg.Error, match=f"event {event_type} .* is not a note") as refused:
        worker.execute(NOTE.format("%s", "%s", "%s").encode(), (submitted.id, event_type, event_status))
    assert refused.value.sqlstate == "CM005"
    owner.execute(PRETEXT.encode())
    with pytest.raises(psycopg.Error, match=f"event {event_type} .* is not a note"):
        worker.execute("INSERT INTO public.pretext VALUES (%s, %s, %s)", (submitted.id, event_type, event_status))
    assert await events_of(app, submitted.id) == before


@pytest.fixture
def janitor(owner: psycopg.Connection[tuple[Any, ...]], url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Somebody to whom the owner gave more than is good."""
    name = f"janitor_{uuid4().hex[:12]}"
    owner.execute(f"CREATE ROLE {name}".encode())
    owner.execute(f"GRANT USAGE ON SCHEMA app TO {name}".encode())
    owner.execute(f"GRANT SELECT, INSERT, DELETE ON app.job_events TO {name}".encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET ROLE {name}".encode())
        yield connection
    owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


async def test_events_are_not_written_by_a_trigger_of_somebody_elses(
    open_app: OpenApp, janitor: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    janitor.execute("CREATE TEMP TABLE mine (job_id text)")
    janitor.execute(
        "CREATE FUNCTION pg_temp.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.job_events"
        " (job_id, event_type, event_status) VALUES (NEW.job_id, 'job_completed', 'success'); RETURN NEW; END $$"
    )
    janitor.execute("CREATE TRIGGER tell BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.tell()")
    with pytest.raises(psycopg.Error, match="may not write into job_events") as refused:
        janitor.execute("INSERT INTO mine VALUES (%s)", (submitted.id,))
    assert refused.value.sqlstate == "CM005"
    assert await events_of(app, submitted.id, "job_completed") == []


async def test_events_are_retired_by_the_owner_alone(
    open_app: OpenApp, janitor: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    before = await events_of(app, submitted.id)
    janitor.execute("SET coremachine.retiring = 'on'")
    with pytest.raises(psycopg.Error, match="events are never changed"):
        janitor.execute("DELETE FROM app.job_events")
    assert await events_of(app, submitted.id) == before


@pytest.mark.parametrize("told", ["job_completed", "task_failed", "stage_started", "job_created"])
async def test_not_even_the_owner_tells_of_a_move_that_did_not_happen(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]], told: str
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    with pytest.raises(psycopg.Error, match=f"event {told} is of a move that did not happen") as refused:
        owner.execute(EVENT.encode(), (submitted.id, told))
    assert refused.value.sqlstate == "CM005"
    owner.execute(EVENT.encode(), (submitted.id, "checkpoint"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.job_events SET event_status = 'info'",
        "DELETE FROM app.job_events",
        "TRUNCATE app.job_events",
    ],
)
async def test_not_even_the_owner_rewrites_what_has_happened(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]], statement: str
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    before = await events_of(app, submitted.id)
    with pytest.raises(psycopg.Error, match="events are never changed") as refused:
        owner.execute(statement.encode())
    assert refused.value.sqlstate == "CM006"
    assert await events_of(app, submitted.id) == before


async def test_without_its_guards_the_log_could_be_rewritten(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    submitted = await app.submit(GIVE, value=1)
    owner.execute("ALTER TABLE app.job_events DISABLE TRIGGER USER")
    owner.execute(EVENT.encode(), (submitted.id, "job_completed"))
    owner.execute("DELETE FROM app.job_events")
    assert await events_of(app, submitted.id) == []


async def test_f30_only_whole_finished_jobs_are_retired(
    open_app: OpenApp, owner: psycopg.Connection[tuple[Any, ...]]
) -> None:
    app = await open_app(GIVE)
    ended = await finished(app, GIVE, value=1)
    still_open = await app.submit(GIVE, value=2)
    assert owner.execute("SELECT app.retire_jobs(now() - interval '1 hour', 10)").fetchone() == (0,)
    assert owner.execute("SELECT app.retire_jobs(now() + interval '1 hour', 10)").fetchone() == (1,)
    assert [row["job_id"] for row in await rows(app, "SELECT job_id FROM app.jobs")] == [still_open.id]
    assert await leftovers(app, ended["job_id"]) == {"stages": 0, "tasks": 0, "job_events": 0}
    with pytest.raises(psycopg.Error, match="events are never changed"):
        owner.execute("DELETE FROM app.job_events")


async def leftovers(app: AsyncCoreMachine, job_id: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in ("stages", "tasks", "job_events"):
        statement = f"SELECT count(*) AS n FROM app.{table} WHERE job_id = %s"  # noqa: S608 - the names stand above
        counts[table] = (await rows(app, statement, job_id))[0]["n"]
    return counts

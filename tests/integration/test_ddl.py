"""The script that installs the schema, as psql runs it, and as an application does."""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from coremachine.examples.approval import APPROVALS
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.errors import DriftError, InstallationError, SchemaError
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.installation import drift, install, installed_parts
from coremachine.sql_generator.schema import CORE, digests, script
from coremachine.statemachine.errors import DefinitionError
from coremachine.statemachine.records import Schema
from coremachine.statemachine.tables import SCHEMA
from tests.integration.rows import WITH_APPROVALS, events_of, insert_row, move, open_session, path, prepare, run

PROGRAMS = ("psql", "pg_dump")
Program = Callable[..., str]


@pytest.fixture(scope="module")
def program(server: str) -> Program:
    """Runs psql or pg_dump, of the server's own version where that is embedded, and returns what it prints."""
    folder = None if os.environ.get("COREMACHINE_TEST_DSN") else _embedded_bin_dir(server)
    found = {name: shutil.which(name, path=folder) for name in PROGRAMS}
    missing = [name for name, where in found.items() if where is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found on PATH")

    def run_program(name: str, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [str(found[name]), *arguments], input=text, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run_program


def _embedded_bin_dir(server: str) -> str:
    """Joining the running server says where its programs are."""
    with psycopg.connect(server) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    with EmbeddedServer.open(Path(row[0]).parent) as joined:
        return str(joined.bin_dir)


def dump(program: Program, url: str) -> str:
    """The whole database as text. `restrict` carries a key that differs from dump to dump."""
    lines = program("pg_dump", "--dbname", url).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def apply(program: Program, url: str, text: str) -> str:
    return program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-1", "-q", "-d", url, text=text)


@pytest.mark.parametrize("records", [SCHEMA, WITH_APPROVALS], ids=["its own", "with a user's own"])
def test_the_script_changes_nothing_the_second_time(program: Program, empty_url: str, records: Schema) -> None:
    assert apply(program, empty_url, script(records)) == ""
    first = dump(program, empty_url)
    assert apply(program, empty_url, script(records)) == ""
    assert dump(program, empty_url) == first
    for record in records.records:
        assert f"CREATE TABLE app.{record.table} " in first


def test_the_script_leaves_rows_alone(program: Program, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO app.jobs (job_id, job_type, stage_count, event_type, event_status, event_data)"
            " VALUES (repeat('a', 64), 'sums', 1, 'job_created', 'success', '{}')"
        )
    before = dump(program, url)
    apply(program, url, script())
    assert dump(program, url) == before


async def test_the_script_mends_a_legal_table_that_says_otherwise(program: Program, url: str) -> None:
    before = dump(program, url)
    async with open_session(url) as session:
        await run(session, "UPDATE {schema}.legal_transitions SET target = 'failed' WHERE trigger = 'complete'")
        await run(
            session, "INSERT INTO {schema}.legal_transitions VALUES ('job', 'leap', 'queued', 'failed', 'x', 'y')"
        )
    apply(program, url, script())
    restored, wanted = (sorted(text.splitlines()) for text in (dump(program, url), before))
    assert restored == wanted


@asynccontextmanager
async def opened(url: str, schema: str = "app", records: Schema = SCHEMA) -> AsyncGenerator[Database]:
    database = Database(url, schema=schema, records=records, pool_size=1)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("records", [SCHEMA, WITH_APPROVALS], ids=["its own", "with a user's own"])
async def test_another_schema_name_works_throughout(empty_url: str, records: Schema) -> None:
    async with opened(empty_url, "other", records) as database:
        assert await database.install() is True
        await database.check_installed()
    async with open_session(empty_url, "other") as session:
        for record in records.records:
            for state in record.lifecycle.by_name:
                subject = await insert_row(session, record)
                for transition in path(record.lifecycle, state):
                    await prepare(session, record, subject.key, transition.target)
                    await move(session, record, subject, transition.trigger)
                types = [event["event_type"] for event in await events_of(session, record, subject.key)]
                assert record.lifecycle.replay(types) == state
        schemas = await run(
            session,
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1",
        )
        assert [row["nspname"] for row in schemas] == ["other", "public"]


@pytest.mark.parametrize("records", [SCHEMA, WITH_APPROVALS], ids=["its own", "with a user's own"])
def test_a_script_for_another_schema_does_not_name_the_first(records: Schema) -> None:
    text = script(records, "other")
    assert "app." not in text
    assert "{schema}" not in text


async def test_installing_twice_does_something_once(empty_url: str) -> None:
    async with opened(empty_url) as database:
        assert await database.install() is True
        assert await database.install() is False
        await database.check_installed()


async def test_a_database_without_the_schema_is_refused(empty_url: str) -> None:
    async with opened(empty_url) as database:
        with pytest.raises(SchemaError, match="schema app is not installed; run `coremachine db install`") as refused:
            await database.check_installed()
    assert (refused.value.schema, refused.value.part) == ("app", CORE)
    assert (refused.value.found, refused.value.wanted) == (None, digests()[CORE])


async def test_a_schema_made_from_another_declaration_is_refused(url: str) -> None:
    async with opened(url) as database:
        async with await database.connection("test") as owner:
            await owner.execute("UPDATE app.installed SET digest = 'another'")
        with pytest.raises(SchemaError, match="schema app was installed from another declaration") as refused:
            await database.check_installed()
        assert (refused.value.found, refused.value.wanted) == ("another", digests()[CORE])
        assert await database.install() is True
        await database.check_installed()


async def test_a_record_of_ones_own_is_a_part_that_other_applications_need_not_declare(url: str) -> None:
    async with opened(url, records=WITH_APPROVALS) as database:
        with pytest.raises(SchemaError, match="record approval in schema app is not installed"):
            await database.check_installed()
        assert await database.install() is True
        await database.check_installed()
    async with opened(url) as without:
        await without.check_installed()
        assert await without.install() is False
    async with opened(url, records=WITH_APPROVALS) as database:
        assert await database.install() is False


FREE_COLUMNS = "".join(f"DROP TRIGGER tasks_{guard} ON app.tasks; " for guard in ("5_moved", "6_ended", "7_changed"))
"""The guards that compare columns: with them PostgreSQL refuses to alter a column."""


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            FREE_COLUMNS + "ALTER TABLE app.tasks ALTER COLUMN rescues TYPE BIGINT",
            "column tasks.rescues is bigint NOT NULL",
        ),
        ("ALTER TABLE app.tasks DROP CONSTRAINT tasks_attempts", "constraint tasks.tasks_attempts is missing"),
        (FREE_COLUMNS + "ALTER TABLE app.tasks DROP COLUMN timeout", "column tasks.timeout is missing"),
        ("ALTER TABLE app.job_events ALTER COLUMN event_data DROP NOT NULL", "column job_events.event_data is jsonb"),
    ],
)
async def test_f24_a_table_that_is_not_what_was_declared_is_refused_and_nothing_changes(
    url: str, damage: str, told: str
) -> None:
    async with opened(url) as database, await database.connection("test") as owner:
        await owner.execute(damage.encode())
        await owner.execute("UPDATE app.installed SET digest = 'an older one'")
        with pytest.raises(DriftError, match=re.escape(told)):
            await database.install()
        assert await installed_parts(owner, "app") == {CORE: "an older one"}
        cursor = await owner.execute("SELECT count(*) AS n FROM pg_namespace WHERE nspname LIKE '%scratch%'")
        assert await cursor.fetchone() == {"n": 0}


async def test_f24_an_index_or_a_guard_that_is_gone_is_made_again(url: str) -> None:
    async with opened(url) as database, await database.connection("test") as owner:
        await owner.execute("DROP INDEX app.tasks_due")
        await owner.execute("DROP TRIGGER tasks_2_guard ON app.tasks")
        await owner.execute("UPDATE app.installed SET digest = 'an older one'")
        assert await drift(owner, SCHEMA, "app") == [
            "index tasks_due is missing",
            "trigger tasks.tasks_2_guard is missing",
        ]
        assert await database.install() is True
        assert await drift(owner, SCHEMA, "app") == []


async def test_a_login_that_may_not_install_is_told_what_it_lacks(empty_url: str) -> None:
    async with opened(empty_url) as database, await database.connection("test") as owner:
        await owner.execute("CREATE ROLE coremachine_test_nobody NOLOGIN")
        try:
            await owner.execute("SET ROLE coremachine_test_nobody")
            with pytest.raises(InstallationError, match="cannot be installed by this login: permission denied"):
                await install(owner, SCHEMA, "app")
        finally:
            await owner.execute("RESET ROLE")
            await owner.execute("DROP ROLE coremachine_test_nobody")


def test_records_of_ones_own_stand_on_those_of_coremachine() -> None:
    with pytest.raises(DefinitionError, match="your records need those of CoreMachine"):
        script(Schema((APPROVALS,)))


async def test_a_schema_of_an_older_shape_is_told_as_such(url: str) -> None:
    async with opened(url) as database:
        async with await database.connection("test") as owner:
            await owner.execute("ALTER TABLE app.installed DROP COLUMN part")
        with pytest.raises(SchemaError, match="run `coremachine db install`"):
            await database.check_installed()
        with pytest.raises(DriftError, match='column "part"'):
            await database.install()

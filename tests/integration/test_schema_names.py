"""Any schema name that is accepted works: the schema is installed, a job runs in it, and the audit is clean."""

import psycopg
import pytest

from coremachine import AsyncCoreMachine, Job, Settings, Stage, task
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.installation import SCRATCH
from coremachine.sql_generator.schema_name import RESERVED, UNREADABLE
from coremachine.statemachine.errors import DefinitionError


@task
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


DOUBLE = Job("double", [Stage("double", double, each="numbers")])


@pytest.mark.parametrize("name", ["public", "jobs", "new", "app2", "l" * 50])
async def test_a_job_runs_in_a_schema_of_this_name(empty_url: str, name: str) -> None:
    settings = Settings(db_schema=name, poll=0.2)
    async with AsyncCoreMachine(empty_url, jobs=[DOUBLE], settings=settings, install=True) as app:
        job = await app.submit(DOUBLE, numbers=[1, 2])
        await app.work(until_idle=True)
        assert (await app.job(job.id))["status"] == "completed"
        assert [finding for finding in (await app.audit()).findings if finding.severity != "info"] == []
        assert await app.database.install() is False


def test_every_word_that_the_server_reserves_is_refused(server: str) -> None:
    with psycopg.connect(server) as connection:
        found = connection.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')").fetchall()
    assert {word for (word,) in found} <= RESERVED


def test_every_other_word_of_the_server_is_accepted_by_it_as_a_schema(server: str) -> None:
    with psycopg.connect(server) as connection:
        found = connection.execute("SELECT word FROM pg_get_keywords()").fetchall()
        for word in {word for (word,) in found} - RESERVED - UNREADABLE:
            connection.execute(f"CREATE SCHEMA {word}".encode())
            connection.execute(f"CREATE TABLE {word}.tasks (at TIMESTAMPTZ)".encode())
            connection.execute(f"CREATE FUNCTION {word}.clock() RETURNS INT LANGUAGE sql RETURN 1".encode())
            connection.execute(f"SELECT t.at, {word}.clock() FROM {word}.tasks AS t".encode())  # noqa: S608 - a keyword
        connection.rollback()


async def test_the_schema_that_installing_uses_is_refused(empty_url: str) -> None:
    with pytest.raises(DefinitionError, match="uses this name when it installs"):
        await Database(empty_url, schema=SCRATCH).install()

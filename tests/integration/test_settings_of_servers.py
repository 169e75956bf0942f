"""What an administrator has set for the database does not matter: jobs end right, and the audit is clean (F53)."""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.errors import DatabaseEncodingError
from coremachine.runtime.settings import Settings
from coremachine.statemachine.retry import Backoff
from tests.databases import install, url_of
from tests.observing import counted_events
from tests.running import work

NOTHING = sql.SQL("")
AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)
TEXT = "Ünïcode \\ 'quoted' \x7f"
SETTINGS = [
    ("DateStyle", "German"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "Asia/Kathmandu"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("array_nulls", "off"),
    ("search_path", ""),
    ("search_path", "nowhere"),
    ("client_encoding", "LATIN1"),
    ("client_encoding", "SQL_ASCII"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_isolation", "serializable"),
    ("statement_timeout", "2s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "2s"),
    ("idle_session_timeout", "1s"),
    ("transaction_timeout", "2s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("plan_cache_mode", "force_custom_plan"),
    ("jit", "on"),
    ("row_security", "off"),
    ("enable_seqscan", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("constraint_exclusion", "on"),
    ("default_toast_compression", "pglz"),
    ("xmloption", "document"),
]


SINCE = {"transaction_timeout": 17_00_00}
"""The version of PostgreSQL that has a setting first."""


@task
def windows(count: int) -> list[dict[str, object]]:
    """Items for a fan-out."""
    return [{"number": number, "half": number / 3, "text": TEXT} for number in range(count)]


@task
def mosaic(tiles: list[dict[str, object]]) -> dict[str, object]:
    """Everything in order."""
    return {"texts": [tile["text"] for tile in tiles], "halves": [tile["half"] for tile in tiles]}


def raster() -> Job:
    """A job of the shape of a raster's: every second window fails the first time."""
    failed: list[object] = []

    @task(retries=2, timeout=60, backoff=AT_ONCE)
    def shade(window: dict[str, int | float | str]) -> dict[str, int | float | str]:
        number = window["number"]
        if number in {1, 3, 5} and number not in failed:
            failed.append(number)
            raise OSError(TEXT)
        return window

    stages = [Stage("plan", windows), Stage("shade", shade, each="plan"), Stage("mosaic", mosaic, gather="shade")]
    return Job("raster", stages)


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The name of a database that does not exist yet, and is dropped afterwards."""
    name = f"settings_{uuid4().hex[:12]}"
    yield name
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def create(server: str, name: str, more: sql.Composable = NOTHING) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), more))
    return url_of(server, name)


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[AsyncCoreMachine, Job]]:
    job = raster()
    async with AsyncCoreMachine(url, jobs=[job], settings=Settings(poll=0.2, grace=2.0)) as app:
        yield app, job


async def assert_ends_right(url: str) -> None:
    async with opened(url) as (app, job):
        submitted = await app.submit(job, count=6)
        await work(app)
        ended = await app.job(submitted.id)
        counted = await counted_events(app, submitted.id)
        timeline = await app.timeline(submitted.id)
        audit = await app.audit()
    assert (ended["status"], ended["error"]) == ("completed", None)
    assert ended["result"] == {"texts": [TEXT] * 6, "halves": [number / 3 for number in range(6)]}
    assert (counted["task_completed"], counted["task_retry_scheduled"]) == (8, 3)
    assert len(re.findall(r"^\d\d:\d\d:\d\d ", timeline, re.MULTILINE)) > 10
    assert [finding.id for finding in audit.findings] == []


@pytest.mark.parametrize(("name", "value"), SETTINGS)
async def test_f53_a_setting_of_the_database_changes_nothing(server: str, database: str, name: str, value: str) -> None:
    url = create(server, database)
    with psycopg.connect(server, autocommit=True) as connection:
        of = sql.Identifier(database)
        setting = sql.SQL("ALTER DATABASE {} SET {} = {}").format(of, sql.Identifier(name), sql.Literal(value))
        if connection.info.server_version < SINCE.get(name, 0):
            with pytest.raises(psycopg.errors.UndefinedObject):
                connection.execute(setting)
            return
        connection.execute(setting)
    await install(url)
    await assert_ends_right(url)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_f53_a_database_that_cannot_hold_every_text_is_refused(server: str, database: str, encoding: str) -> None:
    given = sql.SQL("TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'").format(sql.Literal(encoding))
    url = create(server, database, given)
    with pytest.raises(DatabaseEncodingError, match=f"{database} has the encoding {encoding}.*ENCODING 'UTF8'"):
        await install(url)

"""A database of its own for each test that asks for one, cloned from a template on a real PostgreSQL server.

The server is that of COREMACHINE_TEST_DSN where this is set, else an embedded one, started for the run.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bus.port import Transport
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.settings import Settings
from coremachine.runtime.store.database import Database
from coremachine.statemachine.job import Job

MEMORY = Path("/dev/shm")  # noqa: S108 - made by mkdtemp there
ROOM = 4 * 1024**3
CHOSEN_ITERATIONS_SINCE = 160_000
OpenApp = Callable[..., Awaitable[AsyncCoreMachine]]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server on which databases may be created."""
    with served(os.environ.get("COREMACHINE_TEST_DSN")) as url:
        yield url


@contextmanager
def served(given: str | None) -> Generator[str]:
    """The server given, or an embedded one for as long as the block lasts."""
    if given:
        yield given
        return
    place = Path(tempfile.mkdtemp(prefix="coremachine-tests-", dir=_memory()))
    place.chmod(0o755)
    embedded = EmbeddedServer.open(place / "data")
    try:
        _connect_quickly(embedded.url)
        yield embedded.url
    finally:
        embedded.stop()
        shutil.rmtree(place)


def _connect_quickly(url: str) -> None:
    """Hash the password once instead of 4096 times, where the server can: tests open thousands of connections."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.info.server_version < CHOSEN_ITERATIONS_SINCE:
            return
        connection.execute("SET scram_iterations = 1")
        password = sql.Literal(conninfo_to_dict(url)["password"])
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a database in which the schema is installed, to be cloned."""
    name = f"template_{uuid4().hex[:12]}"
    with Created(server, name, None):
        asyncio.run(install(url_of(server, name)))
        yield name


@pytest.fixture
def empty_url(server: str) -> Iterator[str]:
    """The URL of a new database with nothing in it."""
    name = f"empty_{uuid4().hex[:12]}"
    with Created(server, name, None):
        yield url_of(server, name)


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    """The URL of a new database with the schema installed."""
    name = f"test_{uuid4().hex[:12]}"
    with Created(server, name, template):
        yield url_of(server, name)


@pytest_asyncio.fixture
async def open_app(url: str) -> AsyncIterator[OpenApp]:
    """Opens an application on the database of this test at each call, with the jobs and settings given."""
    async with AsyncExitStack() as stack:

        async def open_one(*jobs: Job, bus: Transport | None = None, **settings: object) -> AsyncCoreMachine:
            quick = Settings.model_validate({"poll": 0.2, "grace": 2.0, **settings})
            return await stack.enter_async_context(AsyncCoreMachine(url, jobs=jobs, settings=quick, bus=bus))

        yield open_one


def _memory() -> Path | None:
    """A file system in memory, where there is one with room: fsync stays on, and costs little there."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy else None


def url_of(server: str, name: str) -> str:
    """The server's URL with another database."""
    return make_conninfo(server, dbname=name)


async def install(url: str) -> None:
    """Install the schema in a database."""
    database = Database(url)
    await database.reach()
    try:
        await database.install()
    finally:
        await database.close()


class Created:
    """A database for as long as the block lasts. Whoever is still connected at its end is cut off."""

    def __init__(self, server: str, name: str, template: str | None) -> None:
        self._server = server
        self._name = sql.Identifier(name)
        self._template = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")

    def __enter__(self) -> None:
        self._run(sql.SQL("CREATE DATABASE {}{}").format(self._name, self._template))

    def __exit__(self, *_: object) -> None:
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(self._name))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)

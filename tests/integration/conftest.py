"""One database with the schema installed, shared by the tests that make rows of their own in it."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from coremachine.runtime.store.session import Session
from tests.databases import url_of
from tests.integration.rows import open_session


@pytest.fixture(scope="session")
def shared_url(server: str, template: str) -> Iterator[str]:
    """The URL of a database that lasts for the whole run. Whoever uses it must not look at rows of others."""
    name = f"shared_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield url_of(server, name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture
async def shared(shared_url: str) -> AsyncIterator[Session]:
    """A session on the shared database, each statement a transaction of its own."""
    async with open_session(shared_url) as session:
        yield session


@pytest_asyncio.fixture
async def session(url: str) -> AsyncIterator[Session]:
    """A session on this test's own database, each statement a transaction of its own."""
    async with open_session(url) as one:
        yield one

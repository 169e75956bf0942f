"""A token of Entra ID as the password: asked for at each new connection, so that one that has run out is never used."""

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from psycopg import sql
from psycopg.conninfo import make_conninfo

from coremachine.runtime.errors import DatabaseUnreachableError
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.entra import SCOPE, EntraPassword


class Identity:
    """A credential whose tokens are the password that the login has now."""

    def __init__(self) -> None:
        self.token = "the first token"  # noqa: S105 - of a role that lives as long as the test
        self.asked: list[str] = []
        self.refuses = False

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """The token of the moment."""
        self.asked += scopes
        if self.refuses:
            raise ClientAuthenticationError("no identity here")
        return AccessToken(self.token, 0)


class Login:
    """A role that logs in with a password, which can be changed."""

    def __init__(self, owner: str, url: str, name: str) -> None:
        self.owner = owner
        self.url = make_conninfo(url, user=name, password="")
        self.name = name

    def takes(self, password: str) -> None:
        """From now on it logs in with this password, and no other."""
        alter = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), sql.Literal(password))
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(alter)


@pytest_asyncio.fixture
async def login(server: str, url: str) -> AsyncIterator[Login]:
    name = f"entra_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(sql.Identifier(name)))
        yield Login(server, url, name)
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


async def test_each_new_connection_logs_in_with_the_token_of_the_moment(login: Login) -> None:
    identity = Identity()
    database = Database(login.url, password=EntraPassword(identity))
    login.takes(identity.token)
    await database.open()
    try:
        async with database.session() as session:
            await session.run("reconciler/retire")
        identity.token = "the second token"  # noqa: S105 - the same
        login.takes(identity.token)
        async with await database.connection("another") as connection:
            row = await (await connection.execute("SELECT session_user AS name")).fetchone()
            assert row is not None
            assert row["name"] == login.name
        # the lease renewer logs in on a thread of its own, by the same way
        assert database.credentials() == {"password": identity.token}
    finally:
        await database.close()
    assert set(identity.asked) == {SCOPE}


async def test_a_token_that_cannot_be_had_is_said_in_plain_words(login: Login) -> None:
    identity = Identity()
    identity.refuses = True
    database = Database(login.url, password=EntraPassword(identity))
    with pytest.raises(DatabaseUnreachableError, match="no token for PostgreSQL is available: no identity here"):
        await database.open()
    await database.close()

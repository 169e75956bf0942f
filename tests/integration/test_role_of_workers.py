"""A login that may not take the workers' role is told which grant it wants; with that grant it takes the role."""

import logging
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from coremachine.runtime.store.database import Database
from coremachine.sql_generator.roles import worker_role


@pytest.fixture
def login(url: str) -> Iterator[str]:
    """The name of a login, also its password, that owns nothing."""
    name = f"login_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as owner:
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(name))
        owner.execute(made)
        yield name
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


async def role_of(url: str, login: str, schema: str = "app") -> str:
    """The role that two connections of a process have which logs in so."""
    database = Database(make_conninfo(url, user=login, password=login), schema=schema, pool_size=2)
    await database.open()
    try:
        async with database.session() as session, database.session():
            cursor = await session.connection.execute("SELECT current_user AS who")
            row = await cursor.fetchone()
    finally:
        await database.close()
    assert row is not None
    return str(row["who"])


async def test_a_login_without_the_role_is_told_the_grant_once(
    url: str, login: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="coremachine")
    assert await role_of(url, login) == login
    (told,) = [record.getMessage() for record in caplog.records if record.name == "coremachine.database"]
    assert told.endswith(f"do='GRANT coremachine_app TO {login}'")


async def test_a_login_with_the_grant_takes_the_role(url: str, login: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="coremachine")
    with psycopg.connect(url, autocommit=True) as owner:
        names = (sql.Identifier(worker_role("app")), sql.Identifier(login))
        owner.execute(sql.SQL("GRANT {} TO {}").format(*names))
    assert await role_of(url, login) == worker_role("app")
    assert caplog.records == []


async def test_an_installer_that_may_create_roles_takes_the_role_itself(
    url: str, login: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="coremachine")
    schema, role = login, worker_role(login)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(login)))
        database = sql.Identifier(owner.info.dbname)
        owner.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(login)))
        try:
            installer = Database(make_conninfo(url, user=login, password=login), schema=schema)
            await installer.install()
            assert await role_of(url, login, schema) == role
        finally:
            owner.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            owner.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(login)))
            owner.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    assert caplog.records == []

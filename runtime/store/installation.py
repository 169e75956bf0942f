"""Installs the schema: as its owner, in one transaction, and only if the existing tables are as declared."""

import psycopg

from ...sql_generator.schema import ddl, digests
from ...statemachine.errors import DefinitionError
from ...statemachine.records import Schema
from ..errors import DriftError, InstallationError, SchemaError
from .queries import query
from .session import Row

INSTALL_LOCK = 0x636F7265
SCRATCH = "coremachine_scratch"
Owner = psycopg.AsyncConnection[Row]


async def install(connection: Owner, records: Schema, schema: str) -> bool:
    """Install `records` into `schema`. Returns whether anything had to be done.

    New tables, indexes, guards and functions are created; an existing table is not altered. Raises, with nothing
    changed, DriftError if it differs from the declaration, and InstallationError if the login may not install.
    """
    if schema == SCRATCH:
        raise DefinitionError(f"schema {schema!r}: CoreMachine uses this name when it installs; choose another name")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (INSTALL_LOCK,))
        wanted = digests(records, schema).items()
        if wanted <= (await installed_parts(connection, schema)).items():
            return False
        await connection.execute("SET LOCAL client_min_messages = warning")
        try:
            async with connection.transaction():  # if it fails, the existing schema can still be described
                for statement in ddl(records, schema):
                    await connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallationError(schema, str(error).strip()) from error
        except psycopg.ProgrammingError as error:
            differences = await drift(connection, records, schema)
            raise DriftError(schema, [str(error).strip(), *differences]) from error
        differences = await drift(connection, records, schema)
        if differences:
            raise DriftError(schema, differences)
    return True


async def check_installed(connection: Owner, records: Schema, schema: str) -> None:
    """Raise SchemaError unless the schema was installed from each part of the declaration."""
    found = await installed_parts(connection, schema)
    for part, digest in digests(records, schema).items():
        if found.get(part) != digest:
            raise SchemaError(schema, part, found.get(part), digest)


async def installed_parts(connection: Owner, schema: str) -> dict[str, str]:
    """The digests that the installed schema stores, by part; empty if there is no schema."""
    cursor = await connection.execute("SELECT to_regclass(%s) AS found", (f"{schema}.installed",))
    row = await cursor.fetchone()
    if row is None or row["found"] is None:
        return {}
    cursor = await connection.execute(query("store/installed_parts", schema))
    return {row["part"]: row["digest"] for row in await cursor.fetchall()}


async def drift(connection: Owner, records: Schema, schema: str) -> list[str]:
    """The differences of the live schema from the declaration, a line each; additional objects do not count.

    The declaration is installed next to the live schema, the server describes both, and the copy is rolled back.
    """
    live = await _catalog(connection, schema, schema)
    async with connection.transaction(force_rollback=True):
        for statement in ddl(records, SCRATCH):
            await connection.execute(statement.encode())
        wanted = await _catalog(connection, SCRATCH, schema)
    differences: list[str] = []
    for (kind, name), definition in wanted.items():
        found = live.get((kind, name))
        if found is None:
            differences.append(f"{kind} {name} is missing")
        elif found != definition:
            differences.append(f"{kind} {name} is {found}, not {definition}")
    return differences


async def _catalog(connection: Owner, namespace: str, schema: str) -> dict[tuple[str, str], str]:
    cursor = await connection.execute(query("store/catalog", schema), {"namespace": namespace})
    rows = await cursor.fetchall()
    return {(row["kind"], row["name"]): row["definition"].replace(f"{namespace}.", f"{schema}.") for row in rows}

"""Installing the schema: by its owner, in one transaction, and only if what stands there is what was declared."""

import psycopg

from ...sql_generator.schema import ddl, digests
from ...statemachine.records import Schema
from ..errors import DriftError, InstallationError, SchemaError
from .queries import query
from .session import Row

INSTALL_LOCK = 0x636F7265
SCRATCH = "coremachine_scratch"
Owner = psycopg.AsyncConnection[Row]


async def install(connection: Owner, records: Schema, schema: str) -> bool:
    """Install `records` into `schema`. Returns whether anything had to be done.

    New tables, columns of new tables, indexes, guards and functions are made; a table that exists already is not
    altered. Raises, with nothing changed, DriftError where it is not what the declaration wants, and
    InstallationError where the login may not install.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (INSTALL_LOCK,))
        wanted = digests(records, schema).items()
        if wanted <= (await installed_parts(connection, schema)).items():
            return False
        await connection.execute("SET LOCAL client_min_messages = warning")
        try:
            async with connection.transaction():  # where it fails, what stands there can still be described
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
    """Raise SchemaError unless each part of the declaration is what the schema was installed from."""
    found = await installed_parts(connection, schema)
    for part, digest in digests(records, schema).items():
        if found.get(part) != digest:
            raise SchemaError(schema, part, found.get(part), digest)


async def installed_parts(connection: Owner, schema: str) -> dict[str, str]:
    """The digests that the installed schema remembers, by part; none where there is no schema."""
    cursor = await connection.execute("SELECT to_regclass(%s) AS found", (f"{schema}.installed",))
    row = await cursor.fetchone()
    if row is None or row["found"] is None:
        return {}
    cursor = await connection.execute(query("store/installed_parts", schema))
    return {row["part"]: row["digest"] for row in await cursor.fetchall()}


async def drift(connection: Owner, records: Schema, schema: str) -> list[str]:
    """How the live schema differs from the declaration, a line each; what is there beside it does not count.

    The declaration is installed beside the live schema, both are described by the server, and the copy is taken back.
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

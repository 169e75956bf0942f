"""Whether a pooler, for example PgBouncer, is between this process and the server, and which server that is."""

from typing import Any

import psycopg

from .queries import query


async def is_behind_pooler(connection: psycopg.AsyncConnection[dict[str, Any]]) -> bool:
    """Whether what answered the login is not the server process that runs the statements.

    Nothing has to be set for that: a login is answered with the number of a process, and a pooler makes one up.
    """
    return await server_process(connection) != connection.info.backend_pid


async def server_process(connection: psycopg.AsyncConnection[dict[str, Any]]) -> int:
    """The number of the server's process that runs the statements of this transaction."""
    cursor = await connection.execute(b"SELECT pg_catalog.pg_backend_pid() AS pid")
    (row,) = await cursor.fetchall()
    return int(row["pid"])


async def identity(connection: psycopg.AsyncConnection[dict[str, Any]], schema: str) -> dict[str, Any]:
    """What two connections have in common if they lead to the same database of the same running server."""
    cursor = await connection.execute(query("store/identity", schema))
    (row,) = await cursor.fetchall()
    return row

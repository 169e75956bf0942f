"""Whether a pooler, for example PgBouncer, is between this process and the server."""

from typing import Any

import psycopg


async def is_behind_pooler(connection: psycopg.AsyncConnection[dict[str, Any]]) -> bool:
    """Whether what answered the login is not the server process that runs the statements.

    Nothing has to be set for that: a login is answered with the number of a process, and a pooler makes one up.
    """
    cursor = await connection.execute(b"SELECT pg_catalog.pg_backend_pid() AS pid")
    (row,) = await cursor.fetchall()
    return bool(row["pid"] != connection.info.backend_pid)

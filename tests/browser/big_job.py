"""A job of many tasks, written straight into the tables: as it would stand after hours of work, in a few seconds."""

from pathlib import Path

import psycopg

STATEMENTS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n")


def write_big_job(  # noqa: PLR0913 - what the job is like
    url: str, job_id: str, tasks: int, *, length: float = 3600.0, failed: int = 9_000, again: int = 2_500
) -> None:
    """Write a failed job with `tasks` tasks in its second stage, and about twice as many events.

    It took `length` seconds; each task whose index is a multiple of `failed` has failed, of `again` was tried twice.

    The triggers that write and guard events are off meanwhile, so it takes a superuser.
    """
    given = {"job": job_id, "tasks": tasks, "failed": failed, "again": again, "length": length}
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in filter(str.strip, STATEMENTS):
            connection.execute(statement.encode(), given)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")

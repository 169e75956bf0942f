"""A job of many tasks, written straight into the tables: as it would stand after hours of work, in a few seconds."""

from pathlib import Path

import psycopg

STATEMENTS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n")
FAILED_EVERY, RETRIED_EVERY = 9_000, 2_500


def write_big_job(url: str, job_id: str, tasks: int) -> None:
    """Write a failed job with `tasks` tasks in its second stage, and about twice as many events.

    The triggers that write and guard events are off meanwhile, so it takes a superuser.
    """
    given = {"job": job_id, "tasks": tasks, "failed": FAILED_EVERY, "again": RETRIED_EVERY}
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in filter(str.strip, STATEMENTS):
            connection.execute(statement.encode(), given)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")

"""A job of many tasks, written straight into the tables: as it would stand after hours of work, in a few seconds."""

from pathlib import Path

import psycopg

HERE = Path(__file__).parent
ENDED, UNDER_WAY = (
    HERE.joinpath(name).read_text(encoding="utf-8").split(";\n") for name in ("big_job.sql", "big_job_under_way.sql")
)


def write_big_job(  # noqa: PLR0913 - what the job is like
    url: str,
    job_id: str,
    tasks: int,
    *,
    length: float = 3600.0,
    failed: int = 9_000,
    again: int = 2_500,
    under_way: bool = False,
) -> None:
    """Write a failed job with `tasks` tasks in its second stage, and about twice as many events.

    It took `length` seconds, or is half done where it is `under_way`. Each task whose index is a multiple of `failed`
    has failed, and of `again` was tried twice.

    The triggers that write and guard events are off meanwhile, so it takes a superuser.
    """
    given = {"job": job_id, "tasks": tasks, "failed": failed, "again": again, "length": length}
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in filter(str.strip, [*ENDED, *(UNDER_WAY if under_way else [])]):
            connection.execute(statement.encode(), given)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")

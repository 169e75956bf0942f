"""A job of many tasks, written directly into the tables: hours of work in a few seconds."""

from pathlib import Path

import psycopg

HERE = Path(__file__).parent
ROWS, FAIL_FAST, EVENTS, UNDER_WAY = (
    HERE.joinpath(f"big_job{part}.sql").read_text(encoding="utf-8").split(";\n")
    for part in ("", "_fail_fast", "_events", "_under_way")
)


def write_big_job(  # noqa: PLR0913 - the properties of the job
    url: str,
    job_id: str,
    tasks: int,
    *,
    length: float = 3600.0,
    failed: int = 9_000,
    again: int = 2_500,
    fail_fast: bool = False,
    under_way: bool = False,
) -> None:
    """Write a failed job with `tasks` tasks in its second stage, and about twice as many events.

    It took `length` seconds, or is half done if it is `under_way`. Each task whose index is a multiple of `failed`
    failed at its third attempt; a multiple of `again` had two attempts. With `fail_fast` none starts after a failure.

    The triggers that write and guard events are disabled meanwhile, which needs a superuser.
    """
    statements = [*ROWS, *(FAIL_FAST if fail_fast else []), *EVENTS, *(UNDER_WAY if under_way else [])]
    given = {"job": job_id, "tasks": tasks, "failed": failed, "again": again, "length": length}
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in filter(str.strip, statements):
            connection.execute(statement.encode(), given)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")

"""What a generated statement waits for, and what it holds meanwhile: seen from other connections."""

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import psycopg

from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.of_moves import Statement
from tests.mutants.probes_of_moves import many

Connection = psycopg.Connection[tuple[int, str]]
NO_LUCK = "; ".join(
    f"SET LOCAL enable_{way} = off" for way in ("indexscan", "indexonlyscan", "bitmapscan", "mergejoin")
)
"""The rows are found in the order of the table, so that only a sort puts them in another."""
AT_ONCE = "SET LOCAL lock_timeout = '500 ms'"
BLOCKED = "SELECT cardinality(pg_blocking_pids(%s)), ''"


class Bystanders:
    """Three connections: one that holds a row, one that runs the statement, and one that looks on."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.holder, self.runner, self.witness = (
            self._stack.enter_context(psycopg.connect(self._url, autocommit=True)) for _ in range(3)
        )
        self._pool = self._stack.enter_context(ThreadPoolExecutor(1))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wrong(self, statement: Statement, fixture: FixtureRows) -> str | None:
        """What is wrong with how the statement waits."""
        source = statement.source or statement.transition.sources[0]
        first, apart, last = fixture.keys[statement.record.machine, source]
        if statement.kind == "claim":
            sql, rows = many(statement, fixture, [first, apart, last], limit=1)
            return self._waits(statement, first, sql, rows)
        sql, rows = many(statement, fixture, sorted((first, last), key=_order, reverse=True))
        return self._waits(statement, apart, sql, rows) or self._holds(
            statement, sorted((first, last), key=_order), sql
        )

    def _waits(self, statement: Statement, held: str, sql: str, rows: int) -> str | None:
        """Whether it waits for a row that is not its own, or comes back with fewer rows than it could have."""
        with self._held(statement, held), self.runner.transaction(force_rollback=True):
            self.runner.execute(AT_ONCE)
            try:
                got = self.runner.execute(sql.encode()).rowcount
            except psycopg.errors.LockNotAvailable:
                return f"{statement.name} waits for row {held}"
        return None if got == rows else f"{statement.name} got {got} rows, not {rows}, while {held} was held"

    def _holds(self, statement: Statement, keys: list[str], sql: str) -> str | None:
        """Whether it holds a later row while it waits for an earlier one."""
        earlier, later = keys
        with self.runner.transaction(force_rollback=True):
            self.runner.execute(NO_LUCK)
            with self._held(statement, earlier):
                running = self._pool.submit(self.runner.execute, sql.encode())
                seen = self._seen(statement, running, later)
            wait([running])
            return seen

    def _seen(self, statement: Statement, running: Future[Any], later: str) -> str | None:
        while not running.done():
            blocked = self.witness.execute(BLOCKED, (self.runner.info.backend_pid,)).fetchone()
            if blocked is not None and blocked[0]:
                with self.witness.transaction(force_rollback=True):
                    try:
                        self.witness.execute(_locking(statement, later, " NOWAIT"))
                    except psycopg.errors.LockNotAvailable:
                        return f"{statement.name} holds {later} while it waits for an earlier row"
                return None
            wait([running], timeout=0.002)
        return f"{statement.name} does not wait for a row that is held"

    @contextmanager
    def _held(self, statement: Statement, key: str) -> Generator[None]:
        with self.holder.transaction(force_rollback=True):
            self.holder.execute(_locking(statement, key))
            yield


def _order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (0, key)


def _locking(statement: Statement, key: str, how: str = "") -> bytes:
    record = statement.record
    where = f"{record.key.name}::text = '{key}'"
    return f"SELECT 1, '' FROM app.{record.table} WHERE {where} FOR NO KEY UPDATE{how}".encode()  # noqa: S608

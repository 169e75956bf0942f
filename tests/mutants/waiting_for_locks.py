"""What a generated statement waits for, and what it holds meanwhile: seen from other connections."""

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Self

import psycopg

from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.of_moves import Statement
from tests.mutants.of_queues import PICKS, QueueStatement
from tests.mutants.probes_of_moves import literal, many
from tests.mutants.probes_of_queues import parameters, rows_for
from tests.mutants.rules_of_changes import Prepared

Connection = psycopg.Connection[tuple[int, str]]
NO_LUCK = "; ".join(
    f"SET LOCAL enable_{way} = off" for way in ("indexscan", "indexonlyscan", "bitmapscan", "mergejoin")
)
"""The rows are found in the order of the table, so that only a sort puts them in another."""
TYPES = {"job": "sums", "task": "add", "callback": "sums"}
IN_ORDER = ("claim_by_key", "requeue")
"""Statements of queues that wait for rows that are locked."""
AT_ONCE = "SET LOCAL lock_timeout = '500 ms'"
BLOCKED = "SELECT cardinality(pg_blocking_pids(%s)), ''"


class FailedError(Exception):
    """The statement that is looked at ends with an error: somebody notices that, whatever it waits for."""


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

    def wrong(self, statement: Statement | QueueStatement, fixture: FixtureRows) -> str | None:
        """What is wrong with how the statement waits."""
        try:
            if isinstance(statement, QueueStatement):
                return self._wrong_queue(statement, fixture)
            return self._wrong_move(statement, fixture)
        except FailedError as error:
            return f"{statement.name}: {error}"

    def _wrong_move(self, statement: Statement, fixture: FixtureRows) -> str | None:
        source = statement.source or statement.transition.sources[0]
        first, apart, last = fixture.keys[statement.record.machine, source]
        if statement.kind == "claim":
            sql, rows = many(statement, fixture, [first, apart, last], limit=1)
            return self._waits(statement, first, sql, rows)
        sql, rows = many(statement, fixture, sorted((first, last), key=_order, reverse=True))
        return self._waits(statement, apart, sql, rows) or self._holds(
            statement, sorted((first, last), key=_order), sql
        )

    def _wrong_queue(self, statement: QueueStatement, fixture: FixtureRows) -> str | None:
        """The same of a statement of a queue, which skips rows that are held unless it is given their keys."""
        if statement.kind in {"redirect", "acknowledge", "retry_later", "held", "messages"}:
            return None
        first, apart, last = rows_for(statement, fixture)
        if statement.kind in IN_ORDER:
            sql = _given(statement, fixture, [last, first])
            keys = sorted((first, last), key=_order)
            return self._waits(statement, apart, sql, 2) or self._holds(statement, keys, sql)
        sql = _given(statement, fixture, [first, apart, last])
        return self._waits(statement, apart, sql, self._rows(sql) - 1) or self._holds_others(statement, fixture)

    def _rows(self, sql: str) -> int:
        """How many rows the statement gives back while nothing is held."""
        with self.runner.transaction(force_rollback=True):
            return self._run(sql)

    def _run(self, sql: str) -> int:
        """Run the statement that is looked at, and return how many rows it gives back."""
        try:
            return self.runner.execute(sql.encode()).rowcount
        except psycopg.errors.LockNotAvailable:
            raise
        except psycopg.DatabaseError as error:
            if self.runner.closed:
                raise
            raise FailedError(str(error)) from error

    def _holds_others(self, statement: QueueStatement, fixture: FixtureRows) -> str | None:
        """Whether it holds a row that it was not given."""
        first, apart, last = rows_for(statement, fixture)
        given = {"without": [apart]} if statement.kind in PICKS else {}
        with self.runner.transaction(force_rollback=True):
            self._run(_given(statement, fixture, [first, last], **given))
            with self.witness.transaction(force_rollback=True):
                try:
                    self.witness.execute(_locking(statement, apart, " NOWAIT"))
                except psycopg.errors.LockNotAvailable:
                    return f"{statement.name} holds {apart}, which is none of its rows"
        return None

    def _waits(self, statement: Statement | QueueStatement, held: str, sql: str, rows: int) -> str | None:
        """Whether it waits for a row that is not its own, or comes back with fewer rows than it could have."""
        with self._held(statement, held), self.runner.transaction(force_rollback=True):
            self.runner.execute(AT_ONCE)
            try:
                got = self._run(sql)
            except psycopg.errors.LockNotAvailable:
                return f"{statement.name} waits for row {held}"
        return None if got == rows else f"{statement.name} got {got} rows, not {rows}, while {held} was held"

    def _holds(self, statement: Statement | QueueStatement, keys: list[str], sql: str) -> str | None:
        """Whether it holds a later row while it waits for an earlier one."""
        earlier, later = keys
        with self.runner.transaction(force_rollback=True):
            self.runner.execute(NO_LUCK)
            with self._held(statement, earlier):
                running = self._pool.submit(self._run, sql)
                seen = self._seen(statement, running, later)
            running.result()
            return seen

    def _seen(self, statement: Statement | QueueStatement, running: Future[int], later: str) -> str | None:
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
    def _held(self, statement: Statement | QueueStatement, key: str) -> Generator[None]:
        with self.holder.transaction(force_rollback=True):
            self.holder.execute(_locking(statement, key))
            yield


def _given(statement: QueueStatement, fixture: FixtureRows, keys: list[str], **given: object) -> str:
    """The statement with what names these rows, or the type that they have."""
    record = statement.record
    rows = [fixture.rows[record.machine, key] for key in keys]
    named = {
        "keys": keys,
        "lease_numbers": [row["lease_number"] for row in rows],
        "send_numbers": [row["send_number"] for row in rows],
        "begun": [True] * len(keys),
        "types": [TYPES[record.machine]],
    }
    return literal(statement.sql, {**parameters(record, Prepared("", keys[0], "", rows[0])), **named, **given})


def _order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (0, key)


def _locking(statement: Statement | QueueStatement, key: str, how: str = "") -> bytes:
    record = statement.record
    where = f"{record.key.name}::text = '{key}'"
    return f"SELECT 1, '' FROM app.{record.table} WHERE {where} FOR NO KEY UPDATE{how}".encode()  # noqa: S608

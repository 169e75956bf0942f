"""A session: one connection, on which moves are applied, notes are written and queries run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.rows import dict_row

from ...sql_generator.moves import move_statement
from ...sql_generator.sweeps import sweep_statement
from ...statemachine.errors import LostRaceError
from ...statemachine.lifecycle import NoteType
from ...statemachine.lifecycles import NOTES
from ...statemachine.machine import Move, MoveEvent
from ...statemachine.records import Record
from .connection import STATEMENT_SECONDS
from .queries import query
from .reports import Level, Report
from .turns import allow

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]
Cursor = psycopg.AsyncCursor[Row]
EVENT_JSON = json.JSONEncoder(allow_nan=False, default=str).encode
STATUS_OF_NOTE = {note.type: note.status for note in reversed(NOTES)}
"""The first declared status, if a note may have several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An event that records an action, not a change of state. Its status is the declared one unless given."""

    type: NoteType
    job_id: str
    data: Mapping[str, object]
    status: str | None = None
    task_id: str | None = None
    stage: int | None = None
    attempt: int | None = None
    lease_number: int | None = None


class Session:
    """Statements on one connection, in the transaction that is open on it.

    What begins with `send` sends its statement at once and returns a cursor: in a transaction the result is waited for
    only when the cursor is read, and reading it raises psycopg.Error if it or an earlier statement failed.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self.reports: list[Report] = []
        self._expected: list[tuple[Cursor, LostRaceError]] = []

    def report(self, level: Level, what: str, **fields: object) -> None:
        """Log this once the transaction is committed."""
        self.reports.append(Report(level, what, fields))

    async def fetch(self, name: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run the query in `name`.sql and return its rows."""
        return await (await self.send(name, parameters)).fetchall()

    async def fetch_together(self, names: Sequence[str], parameters: Mapping[str, object]) -> list[list[Row]]:
        """Run several queries with the same parameters, sent together, and return the rows of each."""
        async with self.connection.pipeline():
            sent = [await self.send(name, parameters) for name in names]
        return [await one.fetchall() for one in sent]

    async def send(self, name: str, parameters: Mapping[str, object] | None = None) -> Cursor:
        """Send the query in `name`.sql, whose rows are read later."""
        return await self._send(query(name, self.schema), parameters or {})

    async def check(self) -> None:
        """Raise the LostRaceError of the first move that had to win and did not: called as a transaction ends."""
        while self._expected:
            sent, lost = self._expected.pop(0)
            if not await sent.fetchall():
                raise lost

    async def run(self, name: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run the statement in `name`.sql, which returns nothing."""
        await self.connection.execute(query(name, self.schema), parameters or {})

    async def apply(self, record: Record, moves: Sequence[Move]) -> set[str]:
        """Write moves of one trigger and return the keys of the rows they won.

        Other clients won the rest: the caller must handle that.
        """
        if not moves:
            return set()
        return {row["key"] for row in await (await self.send_moves(record, moves)).fetchall()}

    async def send_moves(self, record: Record, moves: Sequence[Move]) -> Cursor:
        """Send moves of one trigger, at least one, each of another row; the result has the `key` of each that won.

        Raises ValueError for two moves of one row: a statement moves a row once, and could not return which one won.
        """
        if len({move.key for move in moves}) < len(moves):
            raise ValueError(f"{record.machine}.{moves[0].trigger}: two moves of one row in one statement")
        statement = move_statement(record, moves[0].trigger, self.schema)
        columns = {
            record.key.name: array_text(move.key for move in moves),
            "event_type": array_text(move.event and move.event.type for move in moves),
            "event_status": array_text(move.event and move.event.status for move in moves),
            "event_data": array_text(event_json(move.event) for move in moves),
        }
        for name in statement.inputs:
            if name not in columns:
                columns[name] = array_text(_plain(move.values.get(name)) for move in moves)
        # A plan for one row stays good however the tables grow; a plan for many depends on their number.
        return await self._send(statement.sql.encode(), columns, prepare=None if len(moves) == 1 else False)

    async def must_apply(self, record: Record, move: Move) -> None:
        """Write one move that has to win. If it does not, the transaction ends with LostRaceError."""
        lost = LostRaceError(record.machine, move.trigger, [move.key])
        await self.expect_rows(await self.send_moves(record, [move]), lost)

    async def sweep(self, record: Record, move: Move, column: str, value: object) -> int:
        """Apply one move to every row whose `column` is `value` and that is in the move's source state.

        Returns how many rows moved; 0 is not an error.
        """
        allow(STATEMENT_SECONDS)
        sql = sweep_statement(record, move.trigger, move.source, column, self.schema)
        values = {name: _plain(given) for name, given in move.values.items()}
        given = {**values, **event_parameters(move.event), "value": value}
        (row,) = await (await self._send(sql.encode(), given, prepare=False)).fetchall()
        return int(row["moved"])

    async def statement(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        """Run a generated statement and return its rows."""
        return await (await self.send_statement(sql, parameters)).fetchall()

    async def send_statement(self, sql: str, parameters: Mapping[str, object]) -> Cursor:
        """Send a generated statement, whose rows are read later."""
        return await self._send(sql.encode(), parameters)

    async def note(self, notes: Iterable[Note]) -> None:
        """Write notes into the event log, in their order."""
        listed = list(notes)
        if listed:
            names = ("type", "job_id", "task_id", "stage", "attempt", "lease_number")
            columns: dict[str, object] = {name: [getattr(note, name) for note in listed] for name in names}
            columns["status"] = [note.status or STATUS_OF_NOTE[note.type] for note in listed]
            columns["data"] = [json.dumps(note.data) for note in listed]
            await self.run("store/write_notes", columns)

    async def expect_rows(self, sent: Cursor, lost: LostRaceError) -> None:
        """End the transaction with `lost` unless this result has a row. In a pipeline that is checked at the end."""
        self._expected.append((sent, lost))
        if self.connection.info.pipeline_status == PipelineStatus.OFF:
            await self.check()

    async def _send(self, sql: bytes, parameters: Mapping[str, object], *, prepare: bool | None = None) -> Cursor:
        cursor = self.connection.cursor(row_factory=dict_row)
        return await cursor.execute(sql, parameters, prepare=prepare)


def event_json(event: MoveEvent | None) -> str | None:
    """The data of an event as JSON text."""
    return None if event is None else EVENT_JSON(dict(event.data))


def event_parameters(event: MoveEvent | None) -> dict[str, object]:
    """An event as the parameters of a statement that moves many rows with the same one."""
    return {
        "event_type": event and event.type,
        "event_status": event and event.status,
        "event_data": event_json(event),
    }


def _plain(value: object) -> object:
    """JSON columns are sent as text; text that is JSON already does not change."""
    return json.dumps(value) if isinstance(value, Mapping | list) else value


def array_text(values: Iterable[object]) -> str:
    """Values as the text of a PostgreSQL array, whose type is in the statement.

    psycopg would do it too, but takes several times as long. A value that is neither text nor None is written with
    str().
    """
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)

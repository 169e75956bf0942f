"""A session: one connection, on which moves are applied, notes are written and queries run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ...sql_generator.claims import claim_statement
from ...sql_generator.moves import move_statement
from ...sql_generator.sweeps import sweep_statement
from ...statemachine.errors import LostRaceError
from ...statemachine.lifecycles import NOTES
from ...statemachine.machine import Move, WrittenEvent
from ...statemachine.records import Record
from .queries import query
from .reports import Level, Report

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]
EVENT_JSON = json.JSONEncoder(allow_nan=False, default=str).encode
STATUS_OF_NOTE = {note.type: note.status for note in NOTES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An event that tells of a deed, not of a change of state. Its status is the declared one unless given."""

    type: str
    job_id: str
    data: Mapping[str, object]
    status: str | None = None
    task_id: str | None = None
    stage: int | None = None
    attempt: int | None = None
    lease_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Up to `limit` due rows of a record, of these kinds, for `owner`, for `lease` seconds, told by one event."""

    record: Record
    event: WrittenEvent | None
    kinds: Sequence[str]
    limit: int
    owner: str
    lease: float


class Session:
    """Statements on one connection, in whatever transaction is open on it."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self.reports: list[Report] = []

    def report(self, level: Level, what: str, **fields: object) -> None:
        """Have this said in the log once the transaction is committed."""
        self.reports.append(Report(level, what, fields))

    async def fetch(self, name: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run the query in `name`.sql and return its rows."""
        return await self._run(query(name, self.schema), parameters or {})

    async def run(self, name: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run the statement in `name`.sql, which returns nothing."""
        await self.connection.execute(query(name, self.schema), parameters or {})

    async def apply(self, record: Record, moves: Sequence[Move]) -> set[str]:
        """Write moves of one trigger and return the keys of the rows they won.

        The others were lost to somebody: the caller must say what that means.
        """
        if not moves:
            return set()
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
        return {row["key"] for row in await self._move(statement.sql, columns)}

    async def must_apply(self, record: Record, move: Move) -> None:
        """Write one move that has to win. Raises LostRaceError where it does not."""
        if move.key not in await self.apply(record, [move]):
            raise LostRaceError(record.machine, move.trigger, [move.key])

    async def sweep(self, record: Record, move: Move, column: str, value: object) -> int:
        """Apply one move to every row whose `column` is `value` and that is in the move's source state.

        Returns how many rows moved; none is no error.
        """
        sql = sweep_statement(record, move.trigger, move.source, column, self.schema)
        values = {name: _plain(given) for name, given in move.values.items()}
        rows = await self._move(sql, {**values, **event_parameters(move.event), "value": value})
        return int(rows[0]["moved"])

    async def claim(self, claim: Claim) -> list[Row]:
        """Claim due rows and return those won."""
        parameters = {
            "kinds": list(claim.kinds),
            "limit": claim.limit,
            "lease_owner": claim.owner,
            "lease": claim.lease,
            **event_parameters(claim.event),
        }
        return await self._move(claim_statement(claim.record, self.schema), parameters)

    async def statement(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        """Run a generated statement and return its rows."""
        return await self._run(sql.encode(), parameters)

    async def note(self, notes: Iterable[Note]) -> None:
        """Write notes into the event log, in their order."""
        listed = list(notes)
        if listed:
            names = ("type", "job_id", "task_id", "stage", "attempt", "lease_number")
            columns: dict[str, object] = {name: [getattr(note, name) for note in listed] for name in names}
            columns["status"] = [note.status or STATUS_OF_NOTE[note.type] for note in listed]
            columns["data"] = [json.dumps(note.data) for note in listed]
            await self.run("write_notes", columns)

    async def _run(self, sql: bytes, parameters: Mapping[str, object], *, prepare: bool | None = None) -> list[Row]:
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(sql, parameters, prepare=prepare)
            return await cursor.fetchall()

    async def _move(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        """Run a statement that moves rows, planned anew for the tables as they are now.

        A plan that was kept from when they were empty would scan them. To plan is less than a thousandth of a second.
        """
        return await self._run(sql.encode(), parameters, prepare=False)


def event_json(event: WrittenEvent | None) -> str | None:
    """The data of an event as JSON text."""
    return None if event is None else EVENT_JSON(dict(event.data))


def event_parameters(event: WrittenEvent | None) -> dict[str, object]:
    """An event as the parameters of a statement that moves many rows with the same one."""
    return {
        "event_type": event and event.type,
        "event_status": event and event.status,
        "event_data": event_json(event),
    }


def _plain(value: object) -> object:
    """JSON columns travel as text; text that is JSON already stays as it is."""
    return json.dumps(value) if isinstance(value, Mapping | list) else value


def array_text(values: Iterable[object]) -> str:
    """Values as the text of a PostgreSQL array, whose type the statement says.

    psycopg would do it as well, at several times the price. Anything that is neither text nor None is written as str()
    does.
    """
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)

"""Records of the application's lifecycles: created, moved and read like those of CoreMachine."""

from collections.abc import Mapping

from psycopg import sql

from ...statemachine.errors import OperationError
from ...statemachine.machine import NOTHING, Subject, machine_of
from ...statemachine.records import Record
from ..store.database import PATIENCE_SECONDS, Database
from ..store.session import Row, Session, event_parameters


class UnknownRecordError(OperationError):
    """No row has this key. Carries `table` and `key`."""

    def __init__(self, table: str, key: str) -> None:
        self.table = table
        self.key = key
        super().__init__(f"{table} has no row {key}")


class Records:
    """Creates records and fires their triggers, each in a transaction with its event.

    Each method raises LockTimeoutError, with nothing changed, if others hold a lock that it needs for ten seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, record: Record, key: str, values: Mapping[str, object] = NOTHING, data: Mapping[str, object] = NOTHING
    ) -> bool:
        """Create a row in its initial state. Returns False if the key exists already: then nothing has changed."""
        event = machine_of(record.lifecycle).creation_event(data) if record.lifecycle.created else None
        columns = {record.key.name: key, **values, **(event_parameters(event) if event else {})}
        names = [sql.Identifier(record.column(name).name) for name in columns]
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING RETURNING 1").format(
            sql.Identifier(self._database.schema, record.table),
            sql.SQL(", ").join(names),
            sql.SQL(", ").join(sql.Placeholder(name) for name in columns),
            sql.Identifier(record.key.name),
        )
        async with self._database.transaction(PATIENCE_SECONDS) as session:
            cursor = await session.connection.execute(statement, columns)
            return await cursor.fetchone() is not None

    async def fire(
        self,
        record: Record,
        key: str,
        trigger: str,
        values: Mapping[str, object] = NOTHING,
        data: Mapping[str, object] = NOTHING,
    ) -> str:
        """Fire `trigger` on the row of `key` and return its new state.

        Raises UnknownRecordError, IllegalMoveError, GapRefusedError, or LostRaceError if the row was moved
        between reading and writing; in each case nothing has changed.
        """
        async with self._database.transaction(PATIENCE_SECONDS) as session:
            row = await self._row(session, record, key)
            move = machine_of(record.lifecycle).fire(Subject(key, row["status"]), trigger, values, data)
            await session.must_apply(record, move)
            return move.target

    async def get(self, record: Record, key: str) -> Row:
        """The row of `key`. Raises UnknownRecordError."""
        async with self._database.session(PATIENCE_SECONDS) as session:
            return await self._row(session, record, key)

    async def events(self, record: Record, key: str) -> list[Row]:
        """The events of one row, oldest first."""
        statement = sql.SQL("SELECT * FROM {} WHERE {} = {} ORDER BY event_id").format(
            sql.Identifier(self._database.schema, record.log.table),
            sql.Identifier(record.key.name),
            sql.Placeholder("key"),
        )
        async with self._database.session(PATIENCE_SECONDS) as session:
            cursor = await session.connection.execute(statement, {"key": key})
            return await cursor.fetchall()

    async def _row(self, session: Session, record: Record, key: str) -> Row:
        statement = sql.SQL("SELECT * FROM {} WHERE {} = {}").format(
            sql.Identifier(self._database.schema, record.table),
            sql.Identifier(record.key.name),
            sql.Placeholder("key"),
        )
        cursor = await session.connection.execute(statement, {"key": key})
        row = await cursor.fetchone()
        if row is None:
            raise UnknownRecordError(record.table, key)
        return row

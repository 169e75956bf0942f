"""The database of a process: one small pool, and the transactions on it."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from functools import partial
from typing import Any, Final, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ...sql_generator.roles import worker_role
from ...statemachine.records import Schema
from ...statemachine.tables import SCHEMA
from ..errors import DatabaseEncodingError, DatabaseUnreachableError, DirectUrlError
from ..logs import logger
from .connection import LimitedConnection
from .installation import check_installed, install
from .lock_watch import LockWatch, limited_lock_waits
from .outage import Outage
from .pooler import identity, is_behind_pooler
from .queries import query
from .reports import Reports
from .server_settings import CLIENT_ENCODING, CONNECTION_SETTINGS, FORMATS, NETWORK_LIMITS
from .session import Connection, Cursor, Row, Session
from .text import read_json
from .times import bound_times
from .transient import is_of_its_session, is_transient
from .turns import turn

T = TypeVar("T")
log = logger("database")
PATIENCE_SECONDS: Final = 10.0
"""How long a request of a person or a program is retried while the database cannot be used."""
PREPARE_THRESHOLD: Final = 5
"""A statement is prepared when it runs more often than this."""
POOL_SECONDS: Final = 30.0  # for a connection of the pool
RECONNECTING = 10.0  # seconds after which the pool restarts its back-off, which would grow to minutes


class Database:
    """Connections to one PostgreSQL database and the schema in it.

    Transactions are short: a statement may take five minutes, an idle transaction one, then the server ends it.
    `password` is called for each new connection, for passwords that expire, for example tokens of Entra ID.

    Through a pooler in transaction mode each transaction may have another session of the server. Nothing is set for a
    session then, and each transaction begins with the settings. `pooler` says whether there is one; None asks the
    server. `direct_url` leads to the server itself, for what needs a session: LISTEN, and the lease renewer.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        url: str,
        *,
        schema: str = "app",
        pool_size: int = 4,
        records: Schema = SCHEMA,
        password: Callable[[], str] | None = None,
        direct_url: str | None = None,
        pooler: bool | None = None,
    ) -> None:
        self.url = url
        self.direct_url = direct_url
        self.pooler = pooler
        self._password = password
        self.schema = schema
        self.records = records
        self._pool: AsyncConnectionPool[LimitedConnection] = AsyncConnectionPool(
            url,
            connection_class=LimitedConnection,
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=POOL_SECONDS,
            kwargs=partial(self._connection_parameters, url),
            configure=self._configure,
            reconnect_timeout=RECONNECTING,
            reconnect_failed=lambda pool: pool.check(),
        )
        self.outage = Outage(self._pool.check)
        self._reports = Reports()
        self.lock_seconds = math.inf
        self._warned_of_role = False

    async def reach(self) -> None:
        """Connect once, to check that the database can be used, and whether a pooler is in between.

        Raises DatabaseUnreachableError, without the password, DatabaseEncodingError, and DirectUrlError.
        """
        try:
            async with await self._connect(self.url, "probe") as connection:
                encoding = connection.info.parameter_status("server_encoding") or ""
                if encoding != CLIENT_ENCODING:
                    raise DatabaseEncodingError(self.where, encoding)
                if self.direct_url is not None:
                    await self._check_direct_url(self.direct_url, connection)
        except psycopg.Error as error:
            raise DatabaseUnreachableError(self.where, str(error).strip()) from error

    async def open(self) -> None:
        """Open the pool. Raises what `reach` raises."""
        await self.reach()
        try:
            await self._pool.open(wait=True)
        except (psycopg.Error, PoolTimeout) as error:
            raise DatabaseUnreachableError(self.where, await self._reason(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        self._reports.close()
        await self._pool.close()

    @property
    def session_url(self) -> str | None:
        """The URL of a server that keeps what is set for a session; None if there is only a pooler."""
        return self.direct_url or (None if self.pooler else self.url)

    @property
    def where(self) -> str:
        """The address, without its password."""
        return _address(self.url)

    def with_lock_timeout(self, seconds: float) -> "Database":
        """The same database, with a limit on waiting for a lock, after which a transaction raises LockNotAvailable."""
        waiting = copy(self)
        waiting.lock_seconds = seconds
        return waiting

    @asynccontextmanager
    async def session(self, within: float = math.inf) -> AsyncGenerator[Session]:
        """A connection on which each statement is a separate transaction; through a pooler the block is one.

        With `within`, its statements only read: a wait for a lock is logged, and after so many seconds raises
        LockTimeoutError.
        """
        if self.pooler:
            async with self._begun(within) as session:
                yield session
        else:
            async with self._connected() as connection, self._lock_waits(connection, within, reading=True):
                yield Session(connection, self.schema)

    @asynccontextmanager
    async def scanning(self, within: float = math.inf) -> AsyncGenerator[Session]:
        """A transaction for statements that read whole tables: only here may plans use sequential scans.

        With `within`, a wait for a lock is logged, and after so many seconds raises LockTimeoutError.
        """
        async with self._begun(within) as session:
            await session.connection.execute(b"SET LOCAL enable_seqscan = on")
            yield session

    @asynccontextmanager
    async def snapshot(self, within: float = math.inf) -> AsyncGenerator[Session]:
        """A transaction that only reads, and all its statements the same state of the database.

        With `within`, a wait for a lock is logged, and after so many seconds raises LockTimeoutError.
        """
        async with self._begun(within, b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") as session:
            yield session

    @asynccontextmanager
    async def transaction(self, within: float = math.inf) -> AsyncGenerator[Session]:
        """A connection inside one transaction, which ends with the block.

        Its statements are sent at once; it waits for them when their rows are read, or at the end. Raises
        LostRaceError if one had to win a row and did not. With `within`, a wait for a lock is logged, and after so many
        seconds raises LockTimeoutError.
        """
        async with self._begun(within) as session:
            yield session
        self._reports.log(session.reports)

    async def read(self, work: Callable[[Session], Awaitable[T]], within: float = math.inf) -> T:
        """Do `work`, which changes nothing, on a session, and retry it until it succeeds.

        Raises DatabaseUnreachableError if the database cannot be used `within` so many seconds, and LockTimeoutError if
        others hold a lock for so long.
        """

        async def attempt() -> T:
            async with self.session(within) as session:
                return await work(session)

        return await self._available(attempt, within)

    async def commit_again(self, work: Callable[[Session], Awaitable[T]], within: float) -> T:
        """Do `work`, of which a second time changes nothing, in a transaction, and retry it if the connection is lost.

        Raises DatabaseUnreachableError if the database cannot be used `within` so many seconds, and LockTimeoutError if
        others hold a lock for so long.
        """

        async def attempt() -> T:
            async with self.transaction(within) as session:
                return await work(session)

        return await self._available(attempt, within)

    async def _available(self, attempt: Callable[[], Awaitable[T]], within: float) -> T:
        try:
            return await self.outage.retry_until_available(attempt, within)
        except psycopg.Error as error:
            if is_transient(error):
                raise DatabaseUnreachableError(self.where, await self._reason(error)) from error
            raise

    async def _reason(self, error: Exception) -> str:
        """Why there is no connection, in the words of the server: the pool reports only that there is none."""
        if isinstance(error, PoolTimeout):
            try:
                async with await self.connection("probe") as connection:
                    await self._configure(connection)
            except psycopg.Error as cause:
                return str(cause).strip()
        return str(error).strip()

    async def commit_once(self, work: Callable[[Session], Awaitable[T]], within: float = math.inf) -> T:
        """Do `work` in a transaction, and retry it until it is committed, exactly once.

        If the connection is lost on COMMIT, the server is asked whether it committed before `work` is done
        again. Returns the result of the `work` that was committed. Raises DatabaseUnreachableError if the database
        cannot be used `within` so many seconds, and LockTimeoutError if others hold a lock for so long.
        """
        tried: list[tuple[str, T, Session]] = []

        async def attempt() -> T:
            if tried and await self._was_committed(tried[0][0]):
                return tried[0][1]
            tried.clear()
            async with self._begun(within) as session:
                done = await work(session)
                (row,) = await session.fetch("store/transaction_id")
                tried.append((row["transaction_id"], done, session))
            return done

        done = await self._available(attempt, within)
        self._reports.log(tried[0][2].reports)
        return done

    @asynccontextmanager
    async def _begun(
        self, within: float, begin: bytes = b"BEGIN ISOLATION LEVEL READ COMMITTED"
    ) -> AsyncGenerator[Session]:
        """A transaction in a pipeline. If it is not committed, it is rolled back when the connection is returned."""
        async with (
            self._connected() as connection,
            self._lock_waits(connection, within) as watch,
            connection.pipeline(),
        ):
            session = Session(connection, self.schema)
            await connection.execute(begin)
            if self.pooler:
                await self._set_up(connection, CONNECTION_SETTINGS, local=True)
                await self._take_role(connection, local=True)
            lock_seconds = min(within, self.lock_seconds)
            if lock_seconds < math.inf:
                await connection.execute(f"SET LOCAL lock_timeout = '{lock_seconds:g}s'".encode())
            if self.pooler:
                await watch.locate(connection)
            yield session
            await session.check()
            await connection.execute(b"COMMIT")

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Connection]:
        """A connection of the pool. One that has an error of its session is closed, and another replaces it."""
        with turn():
            async with self._pool.connection() as connection:
                try:
                    yield connection
                except psycopg.Error as error:
                    if is_of_its_session(error):
                        await connection.close()
                    raise

    def _lock_waits(
        self, connection: Connection, within: float, *, reading: bool = False
    ) -> AbstractAsyncContextManager[LockWatch]:
        return limited_lock_waits(connection, self.connection, within, reading=reading)

    async def _was_committed(self, number: str) -> bool:
        async with self.session() as session:
            (row,) = await session.fetch("store/transaction_status", {"transaction_id": number})
        if row["status"] == "in progress":
            raise psycopg.OperationalError(f"transaction {number} is still in progress")
        return bool(row["status"] == "committed")

    async def connection(self, purpose: str) -> psycopg.AsyncConnection[Row]:
        """A connection outside the pool, with all privileges of the login; past the pooler, if that is possible."""
        connection = await self._connect(self.direct_url or self.url, purpose)
        try:
            if self.session_url is not None:
                await self._set_up(connection, FORMATS, local=False)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _check_direct_url(self, url: str, connection: psycopg.AsyncConnection[Row]) -> None:
        async with await self._connect(url, "probe") as direct:
            if await is_behind_pooler(direct):
                raise DirectUrlError(_address(url), "which is a connection pooler too")
            if await identity(direct, self.schema) != await identity(connection, self.schema):
                raise DirectUrlError(_address(url), f"which is another database than {self.where}")

    async def _connect(self, url: str, purpose: str) -> psycopg.AsyncConnection[Row]:
        parameters: dict[str, Any] = {
            **await self._connection_parameters(url),
            "application_name": f"coremachine {purpose}",
        }
        connection = await psycopg.AsyncConnection[Row].connect(url, **parameters)
        try:
            if self.pooler is None and url == self.url:
                self.pooler = await is_behind_pooler(connection)
        except BaseException:
            await connection.close()
            raise
        bound_times(connection)
        return connection

    @property
    def asks_for_password(self) -> bool:
        """Whether each new connection needs a fresh password."""
        return self._password is not None

    def credentials(self) -> dict[str, Any]:
        """What a connection needs besides the URL. May block on a request, so do not call it on an event loop."""
        return {} if self._password is None else {"password": self._password()}

    async def _connection_parameters(self, url: str) -> dict[str, Any]:
        given = {} if self._password is None else await asyncio.to_thread(self.credentials)
        chosen = conninfo_to_dict(url)
        return {
            "autocommit": True,
            "row_factory": cast("Any", dict_row),
            "application_name": "coremachine",
            "client_encoding": CLIENT_ENCODING,
            "prepare_threshold": None if self.pooler else PREPARE_THRESHOLD,
            **{name: value for name, value in NETWORK_LIMITS.items() if name not in chosen},
            **given,
        }

    async def install(self) -> bool:
        """Install the schema as its owner, in one transaction. Returns whether anything had to be done.

        Raises, with nothing changed, DriftError if an existing table differs from the declaration, InstallationError if
        the login may not install, and LockTimeoutError if others hold a lock for PATIENCE_SECONDS.
        """
        async with self._installing() as owner:
            return await install(owner, self.records, self.schema)

    async def check_installed(self) -> None:
        """Raise SchemaError unless the schema was installed from this declaration.

        Raises LockTimeoutError if others hold a lock for PATIENCE_SECONDS.
        """
        async with self._installing() as owner:
            await check_installed(owner, self.records, self.schema)

    @asynccontextmanager
    async def _installing(self) -> AsyncGenerator[psycopg.AsyncConnection[Row]]:
        """A connection of the schema's owner, in a transaction whose waits for locks are limited."""
        async with (
            await self.connection("installer") as owner,
            self._lock_waits(owner, PATIENCE_SECONDS) as watch,
            owner.transaction(),
        ):
            await self._set_up(owner, {**FORMATS, "lock_timeout": f"{PATIENCE_SECONDS:g}s"}, local=True)
            await watch.locate(owner)
            yield owner

    async def _configure(self, connection: Connection) -> None:
        """A worker's connection: short transactions, and a role that owns nothing."""
        if not self.pooler:
            await self._set_up(connection, CONNECTION_SETTINGS, local=False)
        cursor = await self._take_role(connection, local=bool(self.pooler))
        if await cursor.fetchone() is None:
            await self._warn_role_not_taken(connection, worker_role(self.schema))
        set_json_loads(read_json, connection)
        bound_times(connection)

    async def _set_up(self, connection: Connection, settings: Mapping[str, str], *, local: bool) -> None:
        given = {"names": list(settings), "values": list(settings.values()), "local": local}
        await connection.execute(query("store/set_up", self.schema), given)

    async def _take_role(self, connection: Connection, *, local: bool) -> Cursor:
        given = {"role": worker_role(self.schema), "local": local}
        return await connection.execute(query("store/take_role", self.schema), given)

    async def _warn_role_not_taken(self, connection: Connection, role: str) -> None:
        """Warn once about a login that cannot use the role. If the role is missing, the schema is missing too."""
        cursor = await connection.execute(query("store/role_not_taken", self.schema), {"role": role})
        found = await cursor.fetchone()
        if found is not None and found["role_exists"] and not self._warned_of_role:
            self._warned_of_role = True
            what = "the login may not take the role of workers, and keeps its own rights"
            log.warning(what, login=found["login"], role=role, do=f"GRANT {role} TO {found['login']}")


def _address(url: str) -> str:
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

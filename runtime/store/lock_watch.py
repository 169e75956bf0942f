"""Waits for locks in a request of a person or a program: the log says who holds the lock, and the wait is limited."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import psycopg

from ..errors import LockHolder, LockTimeoutError
from ..logs import logger
from .pooler import server_process
from .queries import query
from .session import Connection, Row

log = logger("database")
LOOK_SECONDS: Final = 1.0
"""How long a request is not answered before it is looked up what it waits for, and how often after that."""

Connect = Callable[[str], Awaitable[psycopg.AsyncConnection[Row]]]


@asynccontextmanager
async def limited_lock_waits(
    connection: Connection, connect: Connect, seconds: float, *, reading: bool = False
) -> AsyncGenerator["LockWatch"]:
    """Log who holds a lock for which the block waits on `connection`, and limit the wait.

    `connect` opens another connection, on which the holder is looked up. A block that writes must set lock_timeout,
    because only the server knows whether its COMMIT came first. A block that only reads (`reading`) is cancelled here,
    after so many seconds of waiting. Raises LockTimeoutError.
    """
    begun, cancelling = time.monotonic(), asyncio.timeout(None)
    watch = LockWatch(connection.info.backend_pid, connect, seconds, cancelling if reading else None)
    if math.isinf(seconds):
        yield watch
        return
    timer = asyncio.get_running_loop().call_later(watch.interval, watch.start)
    try:
        async with cancelling:
            yield watch
    except (psycopg.errors.LockNotAvailable, TimeoutError) as error:
        if isinstance(error, TimeoutError) and not cancelling.expired():
            raise
        raise LockTimeoutError(min(seconds, time.monotonic() - begun), watch.holders) from error
    finally:
        timer.cancel()
        await watch.stop()


class LockWatch:
    """Looks up, again and again, who holds the lock that a session waits for, and logs each change.

    `cancelling` is the time-out of the session's statements, which is set while it waits.
    """

    def __init__(self, pid: int, connect: Connect, seconds: float, cancelling: asyncio.Timeout | None) -> None:
        self._pid = pid
        self._connect = connect
        self._seconds = seconds
        self._cancelling = cancelling
        self._task: asyncio.Task[None] | None = None
        self.interval = min(LOOK_SECONDS, seconds / 2)
        self.holders: tuple[LockHolder, ...] = ()

    async def locate(self, connection: psycopg.AsyncConnection[Row]) -> None:
        """Ask the server for the number of the session's process: a pooler makes one up."""
        if not math.isinf(self._seconds):
            self._pid = await server_process(connection)

    def start(self) -> None:
        """Start to look. Called on the loop."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        reported = False
        while True:
            try:
                async with await self._connect("lock watch") as connection:
                    while True:
                        await self._look(connection)
                        await asyncio.sleep(self.interval)
            except psycopg.Error as error:
                if not reported:
                    what = "the database has not answered yet, and the reason cannot be looked up"
                    log.warning(what, error=str(error).strip())
                reported = True
                await asyncio.sleep(self.interval)

    async def _look(self, connection: psycopg.AsyncConnection[Row]) -> None:
        cursor = await connection.execute(query("store/lock_holders", "app"), {"pid": self._pid})
        rows = await cursor.fetchall()
        self._limit(waits=any(row["waits"] for row in rows))
        found = tuple(_holder(row) for row in rows if row["pid"] or row["gid"])
        if not {_key(holder) for holder in found} <= {_key(holder) for holder in self.holders}:
            held_by = "; ".join(map(str, found))
            log.warning("waiting for a lock", held_by=held_by, gives_up_after_s=round(self._seconds, 1))
        self.holders = found or self.holders

    def _limit(self, *, waits: bool) -> None:
        if self._cancelling is None or self._cancelling.expired():
            return
        if not waits:
            self._cancelling.reschedule(None)
        elif self._cancelling.when() is None:
            # it has waited since the last look at the longest
            self._cancelling.reschedule(asyncio.get_running_loop().time() + self._seconds - self.interval)


def _holder(row: Row) -> LockHolder:
    known = {name: value for name, value in row.items() if name != "waits"}
    known["since"] = None if row["since"] is None else datetime.fromtimestamp(row["since"], UTC)
    return LockHolder(**known)


def _key(holder: LockHolder) -> tuple[int | None, str | None]:
    return holder.pid, holder.gid

"""An outage of the database, for the whole process: one warning when it begins, one line when it ends."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

import psycopg
from psycopg_pool import PoolClosed

from ...statemachine.retry import Backoff
from ..logs import logger
from .transient import is_transient

T = TypeVar("T")
log = logger("database")
MOST_REFUSALS: Final = 3
BACKOFF: Final = Backoff(first=0.1, most=5)
_OUT_OF_REACH: Final = ("08", "57")  # connection exceptions, and a server that shuts down or starts

_UNREACHABLE: Final = ("the database cannot be reached; trying again", "the database can be reached again")
_REFUSING: Final = ("the database refuses requests; trying again", "the database accepts requests again")

# It warns about each connection that is lost or cannot be made; this module logs that once.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class Outage:
    """Shared by everything in the process that uses the database. It ends when each failed participant has succeeded.

    `check_connections` is awaited before the end is logged: lost connections that have not been used yet belong to
    the same outage.
    """

    def __init__(self, check_connections: Callable[[], Awaitable[None]]) -> None:
        self._check_connections = check_connections
        self._failing: set[OutageParticipant] = set()
        self._since: float | None = None
        self._ended = ""
        self._through = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether the outage continues."""
        return self._since is not None

    def participant(self) -> "OutageParticipant":
        """A new participant, for code that needs the database and retries."""
        return OutageParticipant(self)

    async def retry_until_available(self, work: Callable[[], Awaitable[T]], within: float = math.inf) -> T:
        """Do `work`, and retry it until no lost connection and no temporary failure interrupts it.

        The error is raised if `within` seconds have passed. One that is not an outage is retried MOST_REFUSALS times
        and then raised.
        """
        participant, refusals, latest = self.participant(), 0, time.monotonic() + within
        try:
            while True:
                try:
                    done = await work()
                except PoolClosed:
                    raise
                except psycopg.Error as error:
                    if is_transient(error):
                        if time.monotonic() >= latest:
                            raise
                        await participant.wait(error)
                        continue
                    refusals += 1
                    if refusals == MOST_REFUSALS or not isinstance(error, psycopg.OperationalError):
                        raise
                    await asyncio.sleep(BACKOFF.delay(refusals))
                else:
                    participant.succeeded()
                    return done
        finally:
            participant.leave()

    def participant_failed(self, participant: "OutageParticipant", error: BaseException | str) -> None:
        """Record that a participant has failed."""
        self._failing.add(participant)
        if self._since is None:
            self._since = time.monotonic()
            code = getattr(error, "sqlstate", None)
            reached = code is not None and not code.startswith(_OUT_OF_REACH)
            begun, self._ended = _REFUSING if reached else _UNREACHABLE
            log.warning(begun, error=str(error).strip())

    def participant_succeeded(self, participant: "OutageParticipant") -> None:
        """Record that a participant succeeded. If it had failed, the others retry at once."""
        if participant in self._failing:
            self._failing.remove(participant)
            self._through.set()
            self._through = asyncio.Event()
        if not self._failing and self._ending is None:
            self._ending = asyncio.ensure_future(self._end())

    def participant_left(self, participant: "OutageParticipant") -> None:
        """Record that a participant stops retrying."""
        self._failing.discard(participant)

    async def pause(self, failures: int) -> None:
        """Wait for the back-off, or until a participant succeeds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BACKOFF.delay(failures)):
                await self._through.wait()

    async def _end(self) -> None:
        with suppress(psycopg.Error):
            await self._check_connections()
        self._ending = None
        if not self._failing and self._since is not None:
            log.info(self._ended, lasted_s=round(time.monotonic() - self._since, 1))
            self._since = None


class OutageParticipant:
    """A part of the process that needs the database: it reports when it fails, and when it succeeds again."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._failures = 0

    def failed(self, error: BaseException | str) -> None:
        """Record that it failed, and will try again."""
        self._failures += 1
        self._outage.participant_failed(self, error)

    async def wait(self, error: BaseException) -> None:
        """Record that it failed; return when to try again."""
        self.failed(error)
        await self._outage.pause(self._failures)

    def succeeded(self) -> None:
        """Record that it succeeded."""
        self._failures = 0
        if self._outage.open:
            self._outage.participant_succeeded(self)

    def leave(self) -> None:
        """Record that it stops retrying."""
        self._outage.participant_left(self)

"""An outage of the database as the whole process meets it: one warning as it begins, one line as it ends."""

import asyncio
import logging
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
_REFUSING: Final = ("the database refuses what it is asked; trying again", "the database does what it is asked again")

# It warns of each connection that is lost or cannot be made. What is to be said of that is said here.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class Outage:
    """Shared by everything in the process that uses the database. It ends when each failed participant succeeds again.

    `check_connections` is awaited before the end is logged: lost connections that nobody has used yet belong to the
    same outage.
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
        """Whether it goes on."""
        return self._since is not None

    def participant(self) -> "OutageParticipant":
        """A new participant, for something that needs the database and tries again."""
        return OutageParticipant(self)

    async def retry_until_available(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` as often as it takes until no lost connection and no temporary trouble interrupts it.

        What the database refuses, and is no outage, is tried MOST_REFUSALS times and then raised.
        """
        participant, refusals = self.participant(), 0
        try:
            while True:
                try:
                    done = await work()
                except PoolClosed:
                    raise
                except psycopg.OperationalError as error:
                    if is_transient(error):
                        await participant.wait(error)
                        continue
                    refusals += 1
                    if refusals == MOST_REFUSALS:
                        raise
                    await asyncio.sleep(BACKOFF.delay(refusals))
                else:
                    participant.succeeded()
                    return done
        finally:
            participant.leave()

    def participant_failed(self, participant: "OutageParticipant", error: BaseException | str) -> None:
        """Note that a participant has failed."""
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
        """A participant gives up."""
        self._failing.discard(participant)

    async def pause(self, failures: int) -> None:
        """Wait as long as the back-off says, or until somebody has got through."""
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
    """Something that needs the database: it says when it failed, and when it has got through again."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._failures = 0

    def failed(self, error: BaseException | str) -> None:
        """It has failed, and will try again."""
        self._failures += 1
        self._outage.participant_failed(self, error)

    async def wait(self, error: BaseException) -> None:
        """It has failed; return when it is to try again."""
        self.failed(error)
        await self._outage.pause(self._failures)

    def succeeded(self) -> None:
        """It has done what it wanted."""
        self._failures = 0
        if self._outage.open:
            self._outage.participant_succeeded(self)

    def leave(self) -> None:
        """It tries no more."""
        self._outage.participant_left(self)

"""The batch completer: gathers the outcomes of concurrent handlers and writes them together.

It never waits for a batch: while one transaction is in progress, further outcomes gather and form the next one. An
outcome is held, and its lease renewed, until its own commit (GAP-1), however long the database is unreachable, and
however often it refuses the statement. Only an error of the outcome's own row ends it otherwise.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import psycopg

from ...statemachine.retry import Backoff
from ..bus.port import Bus
from ..flow.outcome import Outcome
from ..flow.record_outcomes import record_outcomes
from ..leases.lease_table import LeaseTable
from ..logs import logger
from ..store.database import Database
from ..store.session import Note, Session
from ..store.text import error_data
from ..store.transient import is_row_error

T = TypeVar("T")

log = logger("completer")
BATCH_SIZE = 500
LARGEST_BACKLOG = 2 * BATCH_SIZE
BACKOFF = Backoff(first=0.2, most=20)


class BatchCompleter:
    """Writes outcomes and notes, each in the order in which they arrived; the notes of a batch before its outcomes."""

    def __init__(self, database: Database, bus: Bus, leases: LeaseTable, owner: str) -> None:
        self._database = database
        self._bus = bus
        self._leases = leases
        self._owner = owner
        self._outcomes: deque[Outcome] = deque()
        self._notes: deque[Note] = deque()
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self.unwritten = 0
        self._held: dict[int, tuple[asyncio.TimerHandle, Outcome]] = {}
        self._refusals = 0
        self._participant = database.outage.participant()
        self._listeners: list[Callable[[], None]] = []

    def on_drained(self, notify: Callable[[], None]) -> None:
        """Call `notify` each time the backlog of outcomes has become small again."""
        self._listeners.append(notify)

    @property
    def has_capacity(self) -> bool:
        """Whether more tasks may begin: tasks whose outcomes are not written yet run again if this worker dies."""
        return self.unwritten < LARGEST_BACKLOG

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Queue outcomes to be written. Called on the loop."""
        before = len(self._outcomes)
        self._outcomes.extend(outcomes)
        self.unwritten += len(self._outcomes) - before
        self._more.set()

    def add_note(self, note: Note) -> None:
        """Queue a note to be written. May be called from any thread."""
        self._notes.append(note)
        self._loop.call_soon_threadsafe(self._more.set)

    def close(self) -> None:
        """Let `run` end once everything is written. What the database refuses now is left to the end of its lease."""
        self._closing = True
        for timer, outcome in list(self._held.values()):
            timer.cancel()
            self._write_again(outcome)
        self._more.set()

    async def run(self) -> None:
        """Write until closed and empty."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._outcomes or self._notes:
                await self._write(_first(self._notes), _first(self._outcomes))
            if self._closing:
                return

    async def _write(self, notes: list[Note], outcomes: list[Outcome]) -> None:
        async def write(session: Session) -> None:
            await session.note(notes)
            if outcomes:
                await record_outcomes(session, self._bus, outcomes, self._owner)

        try:
            await self._database.commit_once(write)
        except Exception as error:  # noqa: BLE001 - any error: an outcome that is lost here keeps its lease for ever
            await self._write_apart(notes, outcomes, error)
            return
        if outcomes:
            self._refusals = 0
            self._participant.succeeded()
        self._done_with(outcomes)

    def _done_with(self, outcomes: list[Outcome]) -> None:
        was_full = not self.has_capacity
        self.unwritten -= len(outcomes)
        self._leases.drop("task", [(outcome.task.key, outcome.task.lease_number) for outcome in outcomes])
        if self.has_capacity and was_full:
            for notify in self._listeners:
                notify()

    async def _write_apart(self, notes: list[Note], outcomes: list[Outcome], error: Exception) -> None:
        """Write each alone, so that one that cannot be written does not affect the others, and log it."""
        if len(notes) + len(outcomes) > 1:
            for note in notes:
                await self._write([note], [])
            for outcome in outcomes:
                await self._write([], [outcome])
            return
        if notes:
            log.error("a note could not be written", note=notes[0].type, job=notes[0].job_id, error=str(error).strip())
            return
        outcome = outcomes[0]
        not_now = isinstance(error, psycopg.Error) and not is_row_error(error)
        if not_now and not self._closing:
            self._hold(outcome, error)
        elif outcome.kind == "completed" and not not_now:
            refused = Outcome(task=outcome.task, kind="failed", error=error_data(error), retryable=False)
            await self._write([], [refused])
        else:
            what = "an outcome could not be written; its lease will expire"
            log.error(what, task=outcome.task.key, error=str(error).strip())
            self._done_with([outcome])

    def _hold(self, outcome: Outcome, error: Exception) -> None:
        """Keep an outcome that the database refuses for a reason that is not its own, and write it again later."""
        self._participant.failed(error)
        self._refusals += 1
        timer = self._loop.call_later(BACKOFF.delay(self._refusals), self._write_again, outcome)
        self._held[id(outcome)] = (timer, outcome)

    def _write_again(self, outcome: Outcome) -> None:
        del self._held[id(outcome)]
        self._outcomes.append(outcome)
        self._more.set()


def _first(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(min(BATCH_SIZE, len(waiting)))]

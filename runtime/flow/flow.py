"""What every step of the flow needs: who it works for, and what it has found."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ...statemachine.job import Job
from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import JobMessage, StageRow
from ..store.session import Row, Session

Call = Callable[[Callable[..., Any], Mapping[str, object]], Awaitable[Any]]
"""Runs a user's function, sync or async, away from the worker's own work."""


Done = tuple[str, Sequence[Row]]
"""What a message led to, in words, and the tasks that were claimed with it."""


class Takes(Protocol):
    """Takes tasks for a worker in the transaction that opens their stage."""

    async def claim(self, session: Session, stage: StageRow, /) -> Sequence[Row]:
        """Claim tasks of the type of this stage, which is open by now: some of its own, or older ones."""
        ...

    def take(self, rows: Sequence[Row], /) -> None:
        """What was claimed is committed."""


class TakesNone:
    """Leaves all tasks to those who look for them."""

    async def claim(self, _session: Session, _stage: StageRow) -> Sequence[Row]:
        """Claim nothing."""
        return ()

    def take(self, rows: Sequence[Row]) -> None:
        """There is nothing."""


@contextmanager
def taking_none() -> Generator[Takes]:
    """For a flow that claims nothing as it opens a stage."""
    yield TakesNone()


@dataclass(frozen=True, slots=True)
class Flow:
    """A worker's hands: its database, its bus, its name, and how it calls user code.

    `met` is told of each job that a message led to: its row, and its stages in order. `taking` is entered for each
    opening of a stage, until it is known whether that was committed.
    """

    database: Database
    bus: Bus
    owner: str
    call: Call
    met: Callable[[Row, Sequence[StageRow]], None] = lambda _row, _stages: None
    taking: Callable[[], AbstractContextManager[Takes]] = taking_none


@dataclass(frozen=True, slots=True)
class Found:
    """A job as a message led to it: its declaration, its row, and its stages in order."""

    job: Job
    message: JobMessage
    row: Row
    stages: Sequence[StageRow]

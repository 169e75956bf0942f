"""What every step of the flow needs: the worker it runs for, and the job it found."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ...statemachine.job import Job
from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import JobMessage, JobRow, StageRow
from ..store.session import Row, Session

Call = Callable[[Callable[..., Any], Mapping[str, object]], Awaitable[Any]]
"""Runs a user's function, sync or async, apart from the worker's own work."""


class Done(NamedTuple):
    """What a message led to, in words, and the tasks that were claimed with it."""

    what: str
    claimed: Sequence[Row] = ()


class TaskClaim(Protocol):
    """Claims tasks for a worker in the transaction that opens their stage."""

    async def claim(self, session: Session, stage: StageRow, /) -> Sequence[Row]:
        """Claim tasks of the type of this open stage: some of its own, or older ones."""
        ...

    def committed(self, rows: Sequence[Row], /) -> None:
        """What was claimed is committed."""


def _claim_nothing() -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Flow:
    """A worker as the flow sees it: its database, its bus, its name, and how it calls user code.

    `found` is called with each job that a message led to and its stages in order. `claim_on_open` is entered for each
    opening of a stage, until it is known whether that was committed; it gives None if nothing is to be claimed.
    """

    database: Database
    bus: Bus
    owner: str
    call: Call
    found: Callable[[JobRow, Sequence[StageRow]], None] = lambda _job, _stages: None
    claim_on_open: Callable[[], AbstractContextManager[TaskClaim | None]] = _claim_nothing


@dataclass(frozen=True, slots=True)
class Found:
    """A job that a message led to: its declaration, its row, and its stages in order."""

    job: Job
    message: JobMessage
    row: JobRow
    stages: Sequence[StageRow]

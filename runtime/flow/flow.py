"""What every step of the flow needs: its worker, and the job."""

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
"""Runs a user's function, sync or async, separately from the worker's own work."""


class Done(NamedTuple):
    """What was done for a message, in words, and the tasks that were claimed with it."""

    what: str
    claimed: Sequence[Row] = ()


class TaskClaim(Protocol):
    """Claims tasks for a worker in the transaction that opens their stage."""

    async def claim(self, session: Session, stage: StageRow, /) -> Sequence[Row]:
        """Claim tasks of this open stage's type: some of the stage, or older ones."""
        ...

    def committed(self, rows: Sequence[Row], /) -> None:
        """Called when the claims are committed."""


def _claim_nothing() -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Flow:
    """A worker, for the flow: its database, its bus, its name, and how it calls user code.

    `found` is called with each job that a message names and its stages in order. `claim_on_open` is entered for each
    opening of a stage, until it is known whether that was committed; it returns None if nothing is to be claimed.
    """

    database: Database
    bus: Bus
    owner: str
    call: Call
    found: Callable[[JobRow, Sequence[StageRow]], None] = lambda _job, _stages: None
    claim_on_open: Callable[[], AbstractContextManager[TaskClaim | None]] = _claim_nothing


@dataclass(frozen=True, slots=True)
class Found:
    """A job that a message names: its declaration, its row, and its stages in order."""

    job: Job
    message: JobMessage
    row: JobRow
    stages: Sequence[StageRow]

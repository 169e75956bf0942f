"""What every step of the flow needs: who it works for, and what it has found."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...statemachine.job import Job
from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import JobMessage, StageRow
from ..store.session import Row

Call = Callable[[Callable[..., Any], Mapping[str, object]], Awaitable[Any]]
"""Runs a user's function, sync or async, away from the worker's own work."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A worker's hands: its database, its bus, its name, and how it calls user code.

    `met` is told of each job that a message led to: its row, and its stages in order.
    """

    database: Database
    bus: Bus
    owner: str
    call: Call
    met: Callable[[Row, Sequence[StageRow]], None] = lambda _row, _stages: None


@dataclass(frozen=True, slots=True)
class Found:
    """A job as a message led to it: its declaration, its row, and its stages in order."""

    job: Job
    message: JobMessage
    row: Row
    stages: Sequence[StageRow]

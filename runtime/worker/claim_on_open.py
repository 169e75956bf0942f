"""Claims tasks in the transaction that opens their stage, and starts them once that is committed.

So a single task waits for one commit less, and no worker is woken for tasks that are already claimed.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from ..executor.task_executor import TaskExecutor
from ..leases.lease_table import Leases, LeaseTable
from ..store.claims import claim_due
from ..store.rows import StageRow
from ..store.session import Row, Session
from .claimer import Claimer
from .work import TaskCalls


class ClaimOnOpen:
    """One opening of a stage, as a context from before its transaction until it is known whether that committed."""

    def __init__(
        self, executor: TaskExecutor, leases: LeaseTable, claimer: Claimer, calls: TaskCalls, types: Collection[str]
    ) -> None:
        self._executor = executor
        self._leases = leases
        self._claimer = claimer
        self._calls = calls
        self._types = types
        self._committed: Sequence[Row] = ()
        self._reserved = 0
        self._claiming = ExitStack()
        self._won: Leases = {}

    def __enter__(self) -> Self:
        self._won = self._claiming.enter_context(self._leases.claiming("task"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._won.update({row["key"]: row["lease_number"] for row in self._committed})
        self._claiming.close()
        self._reserve(0)
        self._executor.start(self._calls.of(self._committed))

    async def claim(self, session: Session, stage: StageRow) -> Sequence[Row]:
        """Claim tasks of the stage's type, oldest first: as many as this worker can take, at most the stage's number.

        Their slots are reserved. If the transaction is retried, so is this.
        """
        self._reserve(0)
        limit = min(stage.tasks_open, self._executor.demand_for(stage.task_type))
        if not limit or stage.task_type not in self._types:
            return ()
        self._reserve(limit)
        without = self._claimer.unclaimable_keys("task")
        return await claim_due(session, self._claimer.claim_of("task", [stage.task_type], limit, without))

    def committed(self, rows: Sequence[Row]) -> None:
        """Start the claimed tasks: the claims are committed."""
        self._committed = rows

    def _reserve(self, tasks: int) -> None:
        more, self._reserved = tasks - self._reserved, tasks
        self._executor.reserve(more)

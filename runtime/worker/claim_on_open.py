"""Taking: a worker claims tasks in the transaction that opens their stage, and begins them once that is committed.

So what a lone task waits for is one commit less, and nobody is woken for tasks that are taken already.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager

from ..executor.call import Call
from ..executor.task_executor import TaskExecutor
from ..leases.lease_table import LeaseTable
from ..store.rows import StageRow
from ..store.session import Claim, Row, Session

Claiming = Callable[[list[str], int], Claim]
"""The worker's claim of tasks, given their types and how many."""


class Taker:
    """Takes for one opening of a stage."""

    def __init__(self, hands: TaskExecutor, types: Collection[str], claim: Claiming) -> None:
        self.taken: Sequence[Row] = ()
        self._hands = hands
        self._types = types
        self._claim = claim
        self._reserved = 0

    async def claim(self, session: Session, stage: StageRow) -> Sequence[Row]:
        """Claim tasks of the stage's type, the oldest first: as many as have room here, and at most as the stage has.

        The room is kept for them. Where the transaction is tried again, so is this.
        """
        self.reserve(0)
        limit = min(stage.tasks_open, self._hands.demand_for(stage.task_type))
        if not limit or stage.task_type not in self._types:
            return ()
        self.reserve(limit)
        return await session.claim(self._claim([stage.task_type], limit))

    def take(self, rows: Sequence[Row]) -> None:
        """These claims are committed."""
        self.taken = rows

    def reserve(self, tasks: int) -> None:
        """Keep room for so many, instead of those before."""
        more, self._reserved = tasks - self._reserved, tasks
        self._hands.reserve(more)


class Taking:
    """Makes takers for a worker, and has its hands begin what they took."""

    def __init__(
        self,
        hands: TaskExecutor,
        held: LeaseTable,
        types: Collection[str],
        *,
        claim: Claiming,
        calls: Callable[[Sequence[Row]], Sequence[Call]],
    ) -> None:
        self._hands = hands
        self._held = held
        self._types = types
        self._claim = claim
        self._calls = calls

    @contextmanager
    def __call__(self) -> Generator[Taker]:
        """A taker for one opening, from before its transaction until it is known whether that was committed."""
        taker = Taker(self._hands, self._types, self._claim)
        try:
            with self._held.claiming("task") as won:
                yield taker
                won.update({row["key"]: row["lease_number"] for row in taker.taken})
        finally:
            taker.reserve(0)
            self._hands.start(self._calls(taker.taken))

"""One crew behind several feeds, as where tasks come in by several queues."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from .producer import Executor

T = TypeVar("T")


class SharedExecutor(Generic[T]):
    """Makes shares of a crew, one for each feed. Each is told when the crew has room again."""

    def __init__(self, crew: Executor[T]) -> None:
        self.crew = crew
        self._shares: list[ExecutorShare[T]] = []
        crew.on_capacity = self._on_capacity

    def share(self) -> "ExecutorShare[T]":
        """One more share."""
        made = ExecutorShare(self.crew)
        self._shares.append(made)
        return made

    def _on_capacity(self) -> None:
        for share in self._shares:
            share.on_capacity()


class ExecutorShare(Generic[T]):
    """The crew, as one of its feeds sees it."""

    def __init__(self, crew: Executor[T]) -> None:
        self.on_capacity: Callable[[], None] = lambda: None
        self._crew = crew

    @property
    def free_slots(self) -> int:
        """How many could begin now, whoever claims them."""
        return self._crew.free_slots

    def demand(self) -> int:
        """The room that the crew has now."""
        return self._crew.demand()

    def start(self, works: Sequence[T]) -> None:
        """Have the crew do what was claimed."""
        self._crew.start(works)

    async def drain(self, grace: float) -> None:
        """Wait for the crew; the others may wait too."""
        await self._crew.drain(grace)

"""One crew behind several feeds, as where tasks come in by several queues."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from .feed import Crew

T = TypeVar("T")


class Shared(Generic[T]):
    """Makes shares of a crew, one for each feed. Each is told when the crew has room again."""

    def __init__(self, crew: Crew[T]) -> None:
        self.crew = crew
        self._shares: list[Share[T]] = []
        crew.freed = self._freed

    def share(self) -> "Share[T]":
        """One more share."""
        made = Share(self.crew)
        self._shares.append(made)
        return made

    def _freed(self) -> None:
        for share in self._shares:
            share.freed()


class Share(Generic[T]):
    """The crew, as one of its feeds sees it."""

    def __init__(self, crew: Crew[T]) -> None:
        self.freed: Callable[[], None] = lambda: None
        self._crew = crew

    @property
    def beginners(self) -> int:
        """How many could begin now, whoever claims them."""
        return self._crew.beginners

    def room(self) -> int:
        """The room that the crew has now."""
        return self._crew.room()

    def start(self, works: Sequence[T]) -> None:
        """Have the crew do what was claimed."""
        self._crew.start(works)

    async def drain(self, grace: float) -> None:
        """Wait for the crew; the others may wait too."""
        await self._crew.drain(grace)

"""Handles the items of a step together; if that fails, separately, so that one item cannot block the others."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import psycopg

from ...statemachine.errors import LostRaceError
from ..logs import logger
from ..store.database import Database
from ..store.set_aside import Unhandled, set_aside
from ..store.transient import is_transient

T = TypeVar("T")
log = logger("reconciler")


class Name(NamedTuple):
    """The name of an item for when it is set aside, and its job."""

    item: str
    job_id: str


class OneByOne:
    """Handles the items of a worker's steps."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def handle(
        self,
        step: str,
        items: Sequence[T],
        together: Callable[[Sequence[T]], Awaitable[int]],
        name: Callable[[T], Name],
    ) -> int:
        """Call `together` with the items, in halves if it fails; return the sum of its results.

        An item that cannot be handled alone is set aside. Raises psycopg.Error in an outage, which
        is not an error of the items.
        """
        if not items:
            return 0
        try:
            return await together(items)
        except LostRaceError as lost:
            if len(items) == 1:
                log.info("another client was first", step=step, error=str(lost))
                return 0
        except Exception as error:
            if is_transient(error):
                raise
            named = [name(one) for one in items]
            locked = isinstance(error, psycopg.errors.LockNotAvailable) and len({job_id for _, job_id in named}) == 1
            if len(items) == 1 or locked:  # the holder of a job's lock blocks all items of the job
                unhandled = [Unhandled(item, job_id, error) for item, job_id in named]
                await set_aside(self._database, step, unhandled, self._worker)
                return 0
        items = sorted(items, key=lambda one: name(one).job_id)
        half = len(items) // 2
        first = await self.handle(step, items[:half], together, name)
        return first + await self.handle(step, items[half:], together, name)

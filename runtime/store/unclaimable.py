"""Rows that a claim cannot take: one of them must not keep the others from being claimed.

A claim is one statement over many rows. Where it fails for one of them, the rows are claimed one at a time, and the one
that cannot be is left out of the claims to come: for longer each time, and recorded for audit and why.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from .database import Database
from .passing import is_of_rows
from .session import Row
from .set_aside import set_aside

T = TypeVar("T")
Without = Sequence[str]


class Unclaimable:
    """What one claimer leaves out of its claims, by step."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._until: dict[tuple[str, str], float] = {}

    def keys(self, step: str) -> list[str]:
        """The keys of the rows to be left out now."""
        if not self._until:
            return []
        now = time.monotonic()
        self._until = {at: until for at, until in self._until.items() if until > now}
        return [key for of, key in self._until if of == step]

    async def claim(
        self,
        step: str,
        limit: int,
        claim: Callable[[int, Without], Awaitable[Sequence[T]]],
        first: Callable[[Without], Awaitable[Sequence[Row]]],
    ) -> Sequence[T]:
        """Claim up to `limit`, without those that cannot be. `first` finds the row that a claim of one would try.

        Raises what `claim` raises for any other reason, unless something was won before.
        """
        try:
            return await claim(limit, self.keys(step))
        except Exception as error:
            if not is_of_rows(error):
                raise
        won: list[T] = []
        while len(won) < limit and (head := await first(self.keys(step))):
            try:
                one = await claim(1, self.keys(step))
            except Exception as error:
                if is_of_rows(error):
                    await self._leave_out(step, head[0], error)
                    continue
                if won:
                    break
                raise
            if not one:
                break
            won += one
        return won

    async def _leave_out(self, step: str, row: Row, error: Exception) -> None:
        seconds = await set_aside(self._database, step, row["key"], row["job_id"], error, worker=self._worker)
        self._until[step, row["key"]] = time.monotonic() + seconds

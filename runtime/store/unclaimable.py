"""Rows that cannot be claimed: one of them must not keep the others from being claimed.

A claim is one statement over many rows. If it fails for one of them, the rows are claimed one at a time, and the one
that cannot be is left out of later claims: for longer each time, and recorded for audit and why.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg

from ..logs import logger
from .database import Database
from .session import Row
from .set_aside import FIRST_SECONDS, Unhandled, set_aside
from .transient import is_row_error

T = TypeVar("T")
log = logger("claims")
Without = Sequence[str]


class Unclaimable:
    """The rows that one claimer leaves out of its claims, by step."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._until: dict[tuple[str, str], float] = {}

    def keys(self, step: str) -> list[str]:
        """The keys of the rows to leave out now."""
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
        due: Callable[[int, Without], Awaitable[Sequence[Row]]],
    ) -> Sequence[T]:
        """Claim up to `limit`, without those that cannot be claimed. `due` finds the rows that such a claim would try.

        Raises any other error of `claim`, unless rows were won before.
        """
        try:
            return await claim(limit, self.keys(step))
        except Exception as error:
            if not is_row_error(error):
                raise
        without = self.keys(step)
        tried = await due(limit, without)
        keys = {row["key"] for row in tried}
        won: list[T] = []
        unhandled: list[Unhandled] = []
        for row in tried:
            try:
                won += await claim(1, [*without, *(keys - {row["key"]})])
            except Exception as error:
                if is_row_error(error):
                    unhandled.append(Unhandled(row["key"], row["job_id"], error))
                elif won:
                    break
                else:
                    raise
        if unhandled:
            await self._leave_out(step, unhandled)
        return won

    async def _leave_out(self, step: str, unhandled: Sequence[Unhandled]) -> None:
        """Never raises: the rows that were won are held, and have to be returned."""
        now = time.monotonic()
        self._until |= {(step, one.item): now + FIRST_SECONDS for one in unhandled}
        try:
            recorded = await set_aside(self._database, step, unhandled, self._worker)
        except psycopg.Error as error:
            log.warning("rows that could not be claimed are not recorded yet", step=step, error=str(error).strip())
            return
        self._until |= {(step, item): now + seconds for item, seconds in recorded.items()}

"""A connection that does not wait for ever: a server that stays silent counts as lost."""

import asyncio
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

V = TypeVar("V")
STATEMENT_SECONDS: Final = 300
"""The time limit of a statement, which the server enforces."""

ANSWER_SECONDS: Final = STATEMENT_SECONDS + 5.0
"""The time limit of a wait for the server, for when the network swallows what it sends."""


class LimitedConnection(psycopg.AsyncConnection[dict[str, Any]]):
    """A connection of the pool. It is closed after ANSWER_SECONDS without an answer, and raises OperationalError."""

    async def wait(self, gen: PQGen[V], *args: Any, **more: Any) -> V:
        """Wait for the server."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await super().wait(gen, *args, **more)
        except TimeoutError:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the server within {ANSWER_SECONDS:g} s") from None

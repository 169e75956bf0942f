"""Times in Python's range: PostgreSQL has later and earlier ones, and infinity."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

LATEST = datetime(9999, 12, 30, tzinfo=UTC)
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
"""A day from the limit, so that no time zone exceeds it."""

OID = psycopg.adapters.types["timestamptz"].oid


class BoundedTimeLoader(Loader):
    """Reads a time out of Python's range as the last, or the first, within it: one row must not break a list."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        exact = psycopg.adapters.get_loader(OID, Format.TEXT)
        if exact is None:
            raise AssertionError("psycopg reads no timestamptz")
        self._exact = exact(oid, context)

    def load(self, data: Buffer) -> datetime:
        """The time."""
        text = bytes(data).decode("ascii")
        try:
            return datetime.fromisoformat(text)  # a tenth of the time
        except ValueError:
            pass
        try:
            read: datetime = self._exact.load(data)
        except psycopg.DataError:
            return EARLIEST if text.startswith("-") or text.endswith("BC") else LATEST
        return read


def bound_times(connection: psycopg.AsyncConnection[Any]) -> None:
    """Use this loader for every time on this connection."""
    connection.adapters.register_loader(OID, BoundedTimeLoader)

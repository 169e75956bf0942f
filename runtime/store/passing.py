"""Which errors of the database pass: those of a connection or a server, as opposed to those of what was asked of it."""

import psycopg
from psycopg_pool import PoolTimeout

PASSING = ("08", "40", "53", "57P", "58")
"""SQLSTATEs: connection exceptions, transactions that have to be tried again, want of resources, a server that stops or
starts, and trouble of its operating system."""

OF_ROWS = ("22", "23", "CM")
"""SQLSTATEs: values that overflow or cannot be converted, constraints, and the guards of this schema."""


def passes(error: psycopg.Error | PoolTimeout) -> bool:
    """Whether the same statement may well succeed later. A lost connection has no SQLSTATE.

    Operational errors that are none of these, as a statement cancelled at its timeout or a row too large, would come
    again for ever.
    """
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08").startswith(PASSING)


def is_of_rows(error: Exception) -> bool:
    """Whether a statement failed for some row that it met: without that row it may well succeed."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(OF_ROWS)

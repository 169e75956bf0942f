"""Which errors of the database are temporary: those of a connection or a server, not those of the statement."""

import psycopg
from psycopg_pool import PoolTimeout

PASSING = ("08", "40", "53", "57P", "58")
"""SQLSTATEs: connection exceptions, transactions that have to be retried, lack of resources, a server that stops or
starts, and errors of its operating system."""

OF_ALL = (*PASSING, "0A", "25", "28", "3D", "3F", "42", "55", "57", "XX")
"""SQLSTATEs that concern not the rows of a statement, but its text, privileges, locks, time or server."""


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed later. A lost connection has no SQLSTATE.

    Other operational errors, for example a statement cancelled at its timeout or a row that is too large, would recur
    for ever.
    """
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08").startswith(PASSING)


def is_row_error(error: Exception) -> bool:
    """Whether a statement may have failed because of one of its rows: without that row it may succeed.

    That holds for errors of a constraint, a conversion or a trigger, of the schema or added to it.
    """
    return isinstance(error, psycopg.Error) and error.sqlstate is not None and not error.sqlstate.startswith(OF_ALL)

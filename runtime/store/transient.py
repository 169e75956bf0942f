"""Which errors of the database pass: those of a connection or a server, as opposed to those of what was asked of it."""

import psycopg
from psycopg_pool import PoolTimeout

PASSING = ("08", "40", "53", "57P", "58")
"""SQLSTATEs: connection exceptions, transactions that have to be tried again, want of resources, a server that stops or
starts, and trouble of its operating system."""

OF_ALL = (*PASSING, "0A", "25", "28", "3D", "3F", "42", "55", "57", "XX")
"""SQLSTATEs that say nothing of the rows that a statement met, but of its text, rights, locks, time or server."""


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may well succeed later. A lost connection has no SQLSTATE.

    Operational errors that are none of these, as a statement cancelled at its timeout or a row too large, would come
    again for ever.
    """
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08").startswith(PASSING)


def is_row_error(error: Exception) -> bool:
    """Whether a statement may have failed for some row that it met: without that row it may well succeed.

    So it is with whatever a constraint, a conversion or a trigger raises, the schema's own or somebody else's.
    """
    return isinstance(error, psycopg.Error) and error.sqlstate is not None and not error.sqlstate.startswith(OF_ALL)

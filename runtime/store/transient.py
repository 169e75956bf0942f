"""Which errors of the database are temporary, which concern a row, and which leave a connection unusable."""

from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg_pool import PoolTimeout

TRANSIENT: Mapping[str, str] = {
    "08": "the connection is lost, or cannot be made",
    "25006": "the server is read-only: a standby, a failover, or a full disk",
    "25P03": "the server ended a transaction that was idle too long",
    "25P04": "the server ended a transaction that lasted too long",
    "26": "a prepared statement is gone: a pooler gave the session to somebody else",
    "40": "a deadlock, or a transaction that could not be serialized",
    "42P05": "a prepared statement exists already: a pooler gave us somebody else's session",
    "53": "too many connections, or no memory or disk space",
    "57P": "the server stops, starts, or closed the session",
    "58": "an error of the server's operating system",
}
"""SQLSTATEs, or their beginnings, of errors after which the same statement may succeed later."""

OF_A_STATEMENT: Mapping[str, str] = {
    "0A": "the server does not support the statement",
    "25": "the transaction is in a state that does not allow the statement",
    "28": "the login is refused",
    "3D": "the database does not exist",
    "3F": "the schema does not exist",
    "42": "a name or a privilege is missing",
    "55": "somebody holds a lock, or an object is not in the state that the statement needs",
    "57": "the statement was cancelled, for example at its time-out",
    "XX": "an internal error of the server",
}
"""SQLSTATEs of errors that no row of the statement has caused. They may last until a person does something."""


class Origin(NamedTuple):
    """An error that shares its SQLSTATE with others: known by the function of the server that raised it."""

    sqlstate: str
    function: str


STALE_PLAN = Origin("0A000", "RevalidateCachedQuery")
"""*cached plan must not change result type*: a table has changed, for example by an upgrade of the schema."""

NOTIFY_QUEUE_FULL = Origin("54000", "PreCommit_Notify")
"""*too many notifications in the NOTIFY queue*: some session listens and does not read."""


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed later. A lost connection has no SQLSTATE.

    Other errors, for example a statement cancelled at its time-out or a row that is too large, would recur for ever.
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(tuple(TRANSIENT)) or _origin(error) in {STALE_PLAN, NOTIFY_QUEUE_FULL}


def is_row_error(error: Exception) -> bool:
    """Whether a statement may have failed because of one of its rows: without that row it may succeed.

    That holds for errors of a constraint, a conversion or a trigger, of the schema or added to it.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None or is_transient(error):
        return False
    return not error.sqlstate.startswith(tuple(OF_A_STATEMENT))


def is_of_its_session(error: BaseException) -> bool:
    """Whether another connection may work: this one is read-only, or has lost its statements or their plans."""
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return False
    return error.sqlstate.startswith(("25006", "26", "42P05")) or _origin(error) == STALE_PLAN


def _origin(error: psycopg.Error) -> Origin:
    return Origin(error.sqlstate or "", error.diag.source_function or "")

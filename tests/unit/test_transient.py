"""Which errors of the database pass by themselves, and which would come again for ever."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from coremachine.runtime.store.transient import OF_A_STATEMENT, TRANSIENT, is_row_error, is_transient

PASSING = [
    psycopg.OperationalError("the connection is lost"),
    PoolTimeout("no connection in time"),
    errors.AdminShutdown(),
    errors.CannotConnectNow(),
    errors.ConnectionFailure(),
    errors.TooManyConnections(),
    errors.DiskFull(),
    errors.DeadlockDetected(),
    errors.SerializationFailure(),
    errors.IoError(),
    errors.ReadOnlySqlTransaction(),
    errors.IdleInTransactionSessionTimeout(),
    errors.InvalidSqlStatementName(),
    errors.DuplicatePreparedStatement(),
]
STAYING = [
    errors.QueryCanceled(),
    errors.ProgramLimitExceeded(),
    errors.LockNotAvailable(),
    errors.CheckViolation(),
    errors.UndefinedTable(),
    psycopg.DataError("a NUL"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_an_outage_passes(error: psycopg.Error) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", STAYING, ids=lambda error: type(error).__name__)
def test_what_the_database_refuses_stays(error: psycopg.Error) -> None:
    assert not is_transient(error)


class Refused(psycopg.Error):
    """An error of the server with the SQLSTATE that it is given."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.sqlstate = code


@pytest.mark.parametrize("code", TRANSIENT)
def test_a_temporary_error_is_no_fault_of_a_row(code: str) -> None:
    error = Refused(code.ljust(5, "0"))
    assert (is_transient(error), is_row_error(error)) == (True, False)


@pytest.mark.parametrize("code", OF_A_STATEMENT)
def test_an_error_of_the_statement_is_no_fault_of_a_row(code: str) -> None:
    error = Refused(code.ljust(5, "9"))
    assert (is_transient(error), is_row_error(error)) == (False, False)


@pytest.mark.parametrize("code", ["22003", "22P02", "23505", "23514", "54000", "CM003", "P0001"])
def test_an_error_of_a_row_stays(code: str) -> None:
    error = Refused(code)
    assert (is_transient(error), is_row_error(error)) == (False, True)

"""Which errors of the database pass by themselves, and which would come again for ever."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from coremachine.runtime.store.transient import is_transient

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

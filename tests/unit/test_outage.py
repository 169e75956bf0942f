"""An outage is told once as it begins and once as it ends, however many parties meet it."""

import asyncio
import logging
from typing import NoReturn

import psycopg
import pytest

from coremachine.runtime.store.outage import Outage

LOST = psycopg.OperationalError("connection refused")


@pytest.fixture(autouse=True)
def hear_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


async def all_well() -> None:
    """Nothing needs mending."""


async def all_else_done() -> None:
    """Let the end of the outage be told, which is done by a task of its own."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


async def test_it_is_told_once_and_is_over_when_all_that_failed_have_got_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage(all_well)
    one, other = outage.participant(), outage.participant()
    one.failed(LOST)
    other.failed("another reason")
    one.failed(LOST)
    one.succeeded()
    await all_else_done()
    assert told(caplog) == ["WARNING the database cannot be reached; trying again error='connection refused'"]
    other.succeeded()
    await all_else_done()
    assert told(caplog)[1:] == ["INFO the database can be reached again lasted_s=0.0"]


async def test_a_connection_found_lost_while_the_others_are_mended_belongs_to_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def find_another_lost() -> None:
        if late not in found:
            found.append(late)
            late.failed(LOST)

    outage = Outage(find_another_lost)
    one, late = outage.participant(), outage.participant()
    found = list[object]()
    one.failed(LOST)
    one.succeeded()
    await all_else_done()
    assert [line.split()[0] for line in told(caplog)] == ["WARNING"], "it goes on"
    late.succeeded()
    await all_else_done()
    assert [line.split()[0] for line in told(caplog)] == ["WARNING", "INFO"]


async def test_who_waits_tries_again_as_soon_as_another_one_has_got_through() -> None:
    outage = Outage(all_well)
    one, other = outage.participant(), outage.participant()
    one.failed(LOST)
    for _ in range(20):
        other.failed(LOST)
    waiting = asyncio.create_task(other.wait(LOST))
    await asyncio.wait([waiting], timeout=0)
    one.succeeded()
    async with asyncio.timeout(1):  # its back-off has grown to seconds
        await waiting


async def test_work_is_done_again_until_it_succeeds_and_other_errors_are_the_callers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage, calls = Outage(all_well), [0]

    async def succeed_at_last() -> int:
        calls[0] += 1
        if calls[0] < 3:
            raise LOST
        return calls[0]

    async def be_wrong() -> NoReturn:
        raise psycopg.errors.UndefinedTable("no such table")

    assert await outage.retry_until_available(succeed_at_last) == 3
    with pytest.raises(psycopg.errors.UndefinedTable):
        await outage.retry_until_available(be_wrong)
    await all_else_done()
    assert [line.split()[0] for line in told(caplog)] == ["WARNING", "INFO"]


async def test_a_server_that_answers_with_a_refusal_is_not_said_to_be_out_of_reach(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage(all_well).participant().failed(psycopg.errors.DiskFull("no space"))
    assert told(caplog) == ["WARNING the database refuses requests; trying again error='no space'"]

"""A loop that waits too long for an answer is stuck; one that waits for anything else is not."""

import asyncio
import logging

import psycopg
import pytest

from coremachine.runtime.store import turns as module
from coremachine.runtime.store.outage import Outage
from coremachine.runtime.store.turns import Turns, allow, turn

LEASE = 10.0


class Clock:
    """The time of the module under test, which a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """The time that the test has set."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


async def nothing() -> None:
    """No connection is checked."""


@pytest.fixture
async def outage() -> Outage:
    return Outage(nothing)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "stuck" in record.getMessage()]


async def test_a_turn_longer_than_a_lease_is_stuck_until_it_ends_and_logged_once_each_way(
    clock: Clock, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    turns = Turns(LEASE, outage)
    turns.belong_to("producer of tasks")
    with turn():
        turns.check()
        clock.now += 0.1
        turns.check()
        clock.now += LEASE - 1
        turns.check()
        assert turns.stuck() == {}
        for _ in range(3):
            clock.now += 1
            turns.check()
        assert turns.stuck() == {"producer of tasks": 12.1}
        assert len(lines(caplog)) == 1
    assert turns.stuck() == {}
    begun, over = lines(caplog)
    assert "a loop is stuck" in begun
    assert "producer of tasks" in begun
    assert "a loop is no longer stuck" in over


async def test_a_loop_between_two_turns_is_not_stuck_however_long_it_waits(clock: Clock, outage: Outage) -> None:
    turns = Turns(LEASE, outage)
    turns.belong_to("completer")
    with turn():
        turns.check()
    clock.now += 100 * LEASE
    turns.check()
    turns.check()
    assert turns.stuck() == {}


async def test_work_that_a_loop_has_started_belongs_to_it_and_a_loop_is_logged_once(
    clock: Clock, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    turns, answered = Turns(LEASE, outage), asyncio.Event()
    turns.belong_to("producer of jobs")

    async def handle() -> None:
        with turn(), turn():
            await answered.wait()

    handling = [asyncio.create_task(handle()) for _ in range(3)]
    await asyncio.sleep(0)
    clock.now += 1
    turns.check()
    clock.now += LEASE
    turns.check()
    assert turns.stuck() == {"producer of jobs": 11.0}
    answered.set()
    await asyncio.gather(*handling)
    assert turns.stuck() == {}
    assert len(lines(caplog)) == 2


async def test_an_answer_that_nobody_could_read_while_the_interpreter_was_blocked_is_not_missing(
    clock: Clock, outage: Outage
) -> None:
    turns = Turns(LEASE, outage)
    turns.belong_to("producer of tasks")
    turns.check()
    clock.now += 1
    with turn():
        clock.now += 10 * LEASE
        turns.check()
        assert turns.stuck() == {}


async def test_a_statement_that_writes_very_many_rows_may_take_longer(clock: Clock, outage: Outage) -> None:
    turns = Turns(LEASE, outage)
    turns.belong_to("producer of jobs")
    with turn():
        clock.now += 1
        turns.check()
        allow(300)
        clock.now += 299
        turns.check()
        assert turns.stuck() == {}
        clock.now += 2
        turns.check()
        assert list(turns.stuck()) == ["producer of jobs"]


async def test_a_stuck_loop_adds_no_line_to_those_of_an_outage(
    clock: Clock, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="coremachine")
    turns = Turns(LEASE, outage)
    turns.belong_to("producer of jobs")
    outage.participant().failed(psycopg.OperationalError("gone"))
    with turn():
        clock.now += 1
        turns.check()
        clock.now += LEASE
        turns.check()
        assert list(turns.stuck()) == ["producer of jobs"]
    assert lines(caplog) == []


async def test_outside_a_workers_loops_there_are_no_turns() -> None:
    with turn():
        allow(1)

"""ThreadPool: threads that take calls from one queue; what has ended is told once, whoever tells it."""

import asyncio
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from coremachine import task
from coremachine.runtime.executor.call import Call
from coremachine.runtime.executor.job_cache import Plan
from coremachine.runtime.executor.thread_pool import ThreadPool
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.store.rows import ClaimedTask, StageRow
from coremachine.statemachine.definitions import StageDefinition

SOON = 20


def call_of(function: Callable[..., Any], item: object, told: list[str] | None = None) -> Call:
    """A call of `function` with `item`; what it tells goes to `told`."""
    stage = StageRow(
        stage_id=1,
        job_id="a" * 64,
        stage=1,
        name="only",
        task_type="work",
        status="processing",
        definition=StageDefinition({"kind": "each", "timeout": None}),
        tasks_total=9,
        tasks_open=9,
        tasks_completed=0,
        tasks_failed=0,
        tasks_cancelled=0,
        stop_reason=None,
        stop_why=None,
    )
    claimed = ClaimedTask(
        key="1-0",
        job_id="a" * 64,
        stage_id=1,
        stage=1,
        task_index=0,
        task_number=1,
        task_type="work",
        item=item,
        attempt=1,
        max_attempts=1,
        lease_number=1,
        deadline_at=None,
        lease_owner="me",
        rescues=0,
        max_rescues=3,
    )
    heard = told if told is not None else []
    call = Call(claimed, lambda _task, kind, _data: heard.append(kind), lambda _key, _number: None)
    call.plan, call.value = Plan(task(function), {}, stage, None), item
    return call


class Listener:
    """What threads report, and when there is enough of it."""

    def __init__(self, wanted: int) -> None:
        self.outcomes: list[Outcome] = []
        self.rested = 0
        self.times = 0
        self._wanted = wanted
        self._enough = asyncio.Event()

    def hear(self, done: Sequence[tuple[Call, Outcome]], rested: int) -> None:
        """As the hands of a worker are told."""
        self.outcomes += [outcome for _, outcome in done]
        self.rested += rested
        self.times += bool(done)
        if len(self.outcomes) >= self._wanted and self.rested:
            self._enough.set()

    async def enough(self) -> list[str | None]:
        """The results, once as many are there as were wanted, and a thread rests."""
        async with asyncio.timeout(SOON):
            await self._enough.wait()
        return [outcome.result for outcome in self.outcomes]


def double(number: int) -> int:
    return 2 * number


async def test_one_lane_takes_many_calls_and_the_loop_hears_of_them_together() -> None:
    listener = Listener(500)
    threads = ThreadPool(listener.hear)
    threads.waiting.extend(call_of(double, number) for number in range(500))
    threads.wake(1)
    assert await listener.enough() == [str(2 * number) for number in range(500)]
    assert listener.times < 250
    threads.close()


async def test_a_lane_that_was_left_behind_ends_with_its_handler_and_tells_nothing() -> None:
    begun, gate = Event(), Event()

    def wait(_item: int) -> int:
        begun.set()
        gate.wait(SOON)
        return 1

    listener = Listener(1)
    threads = ThreadPool(listener.hear)
    late = call_of(wait, 0)
    threads.waiting.append(late)
    threads.wake(1)
    assert await asyncio.to_thread(begun.wait, SOON)
    assert threads.running == [late]
    assert late.end()
    threads.leave(late)
    assert (threads.running, threads.awake) == ([], 0)
    gate.set()
    threads.waiting.append(call_of(double, 4))
    threads.wake(1)
    assert await listener.enough() == ["8"]
    assert not threads.waiting
    threads.close()


async def test_a_lane_goes_on_after_whatever_a_handler_raises() -> None:
    def leave(number: int) -> int:
        raise (SystemExit, KeyboardInterrupt, StopIteration, asyncio.CancelledError)[number]

    listener = Listener(5)
    threads = ThreadPool(listener.hear)
    threads.waiting.extend(call_of(leave, number) for number in range(4))
    threads.waiting.append(call_of(double, 4))
    threads.wake(1)
    await listener.enough()
    assert [outcome.kind for outcome in listener.outcomes] == ["failed"] * 4 + ["completed"]
    errors = [outcome.error and outcome.error["type"] for outcome in listener.outcomes[:4]]
    assert errors == ["SystemExit", "KeyboardInterrupt", "StopIteration", "CancelledError"]
    threads.close()


async def test_a_call_that_was_asked_to_stop_before_it_began_is_cancelled_unrun() -> None:
    ran: list[int] = []

    def remember(number: int) -> None:
        ran.append(number)

    listener = Listener(1)
    threads = ThreadPool(listener.hear)
    call = call_of(remember, 1)
    call.ask_to_stop("fail_fast")
    threads.waiting.append(call)
    threads.wake(1)
    await listener.enough()
    assert ([outcome.kind for outcome in listener.outcomes], ran) == (["cancelled"], [])
    threads.close()


def test_the_right_to_tell_how_a_call_ended_is_won_once() -> None:
    call = call_of(double, 1)
    assert [call.end(), call.end(), call.end()] == [True, False, False]

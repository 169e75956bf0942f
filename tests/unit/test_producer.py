"""The producer: when it claims, and when it does not."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from coremachine.runtime.store.outage import Outage
from coremachine.runtime.worker.producer import ConcurrentExecutor, Producer

SLOTS = 3


class Queue:
    """Work that is due, and how often it was asked for. Each piece is under way until it is let go."""

    name = "test"
    waits = False

    def __init__(self, due: Sequence[str]) -> None:
        self.due = list(due)
        self.claims = 0
        self.under_way: dict[str, asyncio.Event] = {}

    async def claim(self, limit: int) -> Sequence[str]:
        """Up to `limit` of what is due."""
        self.claims += 1
        claimed, self.due = self.due[:limit], self.due[limit:]
        return claimed

    async def handle(self, work: str) -> None:
        """Until it is let go."""
        self.under_way[work] = asyncio.Event()
        await self.under_way[work].wait()


async def check_nothing() -> None:
    """No connection has to be checked."""


async def settled() -> None:
    """Let all that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def producing(queue: Queue) -> AsyncGenerator[Callable[[], None]]:
    """A producer that never polls. Gives the call that wakes it."""
    executor = ConcurrentExecutor("test", SLOTS, queue.handle)
    producer = Producer(queue, executor, 3600.0, Outage(check_nothing).participant())
    running = asyncio.create_task(producer.run())
    await settled()
    yield producer.wake
    producer.close()
    for event in queue.under_way.values():
        event.set()
    await running
    await producer.drain(10)


async def test_a_producer_whose_claim_came_back_short_does_not_ask_again_as_its_work_ends() -> None:
    queue = Queue(["a"])
    async with producing(queue) as wake:
        assert (queue.claims, set(queue.under_way)) == (1, {"a"})
        queue.under_way["a"].set()
        await settled()
        assert queue.claims == 1
        queue.due = ["b"]
        wake()
        await settled()
        assert (queue.claims, set(queue.under_way)) == (2, {"a", "b"})


async def test_a_producer_that_had_no_room_for_more_asks_again_as_its_work_ends() -> None:
    queue = Queue(["a", "b", "c", "d"])
    async with producing(queue):
        assert (queue.claims, set(queue.under_way)) == (1, {"a", "b", "c"})
        queue.under_way["a"].set()
        await settled()
        assert set(queue.under_way) == {"a", "b", "c", "d"}


async def test_work_that_ends_while_a_claim_is_under_way_has_another_one_follow() -> None:
    queue = Queue(["a"])
    answer = asyncio.Event()
    claim = queue.claim

    async def slow(limit: int) -> Sequence[str]:
        claimed = await claim(limit)
        if queue.claims == 2:
            queue.due = ["c"]  # too late for this claim, which leaves room
            await answer.wait()
        return claimed

    queue.claim = slow  # type: ignore[method-assign]
    async with producing(queue) as wake:
        queue.due = ["b"]
        wake()
        await settled()
        queue.under_way["a"].set()
        await settled()
        answer.set()
        await settled()
        assert set(queue.under_way) == {"a", "b", "c"}

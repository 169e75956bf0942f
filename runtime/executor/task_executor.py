"""The hands of a worker: they run what it has claimed, at most `slots` handlers at once, and say what it may claim.

How much that is follows from how long handlers last. Tasks that are done in microseconds are claimed by the hundred;
of a type that lasts, or that was never seen, no more are claimed than can begin at once. Where the guess was wrong,
what waits behind a handler that does not end is given back, for others to take.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from ..flow.outcome import Outcome
from ..logs import logger
from ..store.text import cleaned
from .batch_completer import BatchCompleter
from .call import Call
from .cancelling import cancel_all
from .prefetch_policy import PrefetchPolicy
from .runner import Runner
from .thread_pool import ThreadPool

log = logger("hands")
LOOK = 0.003
GIVE_BACK = 1.0
STOPPING = "worker stopping"
BUSY = "its worker is busy"


class TaskExecutor:
    """Runs calls, and gives their outcomes to the completer. `on_capacity` is called when more may be claimed."""

    def __init__(self, runner: Runner, prefetch_policy: PrefetchPolicy, slots: int, completer: BatchCompleter) -> None:
        self.prefetch_policy = prefetch_policy
        self.on_capacity: Callable[[], None] = lambda: None
        self._reserved = 0
        self._runner = runner
        self._slots = self._free = slots
        self._completer = completer
        completer.on_drained = self._on_drained
        self._threads = ThreadPool(self._hear)
        self._waiting: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._taken = 0
        self._moved_at = 0.0
        self._shortest: float | None = None
        self._stopping = False
        self._still = asyncio.Event()
        self._still.set()

    @property
    def queued(self) -> int:
        """Calls that wait for a place, or for which one is reserved."""
        return len(self._threads.waiting) + len(self._waiting) + self._preparing + self._reserved

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return self._free < self._slots or bool(self.queued or self._tasks)

    def demand(self) -> int:
        """How many tasks may be claimed now: what can begin, and a store of brief ones once half of it is used up."""
        store, queued = self.prefetch_policy.largest_prefetch(), self.queued
        if self._stopping or not self._completer.has_capacity or (self._free <= queued and store <= 2 * queued):
            return 0
        return self.free_slots + max(0, store - queued)

    @property
    def free_slots(self) -> int:
        """How many tasks could begin at once."""
        return max(0, self._free - self.queued)

    def demand_for(self, kind: str) -> int:
        """How many tasks of this kind may be claimed now: those that can begin, and a store where they are brief."""
        if not self.demand():
            return 0
        return self.free_slots + sum(most for _, most in self.prefetch_allowance([kind]))

    def prefetch_allowance(self, kinds: Sequence[str]) -> list[tuple[list[str], int]]:
        """The kinds that may wait here, in groups of similar duration, and how many tasks of each group."""
        queued = self.queued
        groups: dict[int, tuple[list[str], int]] = {}
        for kind in kinds:
            ahead = self.prefetch_policy.prefetch_for(kind)
            together, most = groups.get(ahead.bit_length(), ([], ahead))
            groups[ahead.bit_length()] = ([*together, kind], min(most, ahead))
        return [(together, most - queued) for together, most in groups.values() if most > queued]

    def reserve(self, number: int) -> None:
        """Keep room for so many more calls, which are about to be started; for fewer where the number is negative."""
        self._reserved += number
        if number < 0:
            self._staff()
            self.on_capacity()

    def start(self, works: Sequence[Call]) -> None:
        """Run calls, as there are slots."""
        self._still.clear()
        unready: defaultdict[str, list[Call]] = defaultdict(list)
        for call in works:
            if not self._queued_at_once(call):
                unready[call.task.job_id].append(call)
        for together in unready.values():
            self._preparing += len(together)
            self._spawn(self._prepare(together))
        if self._stopping:
            self.stop()
        self._staff()

    def _queued_at_once(self, call: Call) -> bool:
        """Queue a call for which nothing has to be read. Returns whether that was so."""
        try:
            if not self._runner.ready(call):
                return False
            self._queue(call)
        except Exception:  # noqa: BLE001 - whatever it is, it is this call's alone, and comes again in `_prepare`
            return False
        return True

    def stop(self) -> None:
        """Give back what has not begun."""
        self._stopping = True
        self._give_back(STOPPING)

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, then give it back, cancelled or left behind in its thread."""
        try:
            async with asyncio.timeout(grace):
                await self._still.wait()
        except TimeoutError:
            await cancel_all(self._tasks)
            for call in self._threads.running:
                if call.end():
                    self._threads.leave(call)
                    self._completer.add([call.released(STOPPING)])
        if self._timer is not None:
            self._timer.cancel()
        self._threads.close()

    def _queue(self, call: Call) -> None:
        if call.plan.timeout is not None:
            self._shortest = min(self._shortest or call.plan.timeout, call.plan.timeout)
        threaded = call.plan.handler.options.isolation == "thread"
        (self._threads.waiting if threaded else self._waiting).append(call)

    async def _prepare(self, calls: Sequence[Call]) -> None:
        for number, call in enumerate(calls):
            try:
                await self._runner.prepare(call)
                self._queue(call)
            except psycopg.OperationalError as error:
                self._tell(call, f"its input could not be read: {cleaned(str(error))}")
            except Exception as error:  # noqa: BLE001 - its own failure, as that of its handler would be
                self._fail(call, error)
            except BaseException:
                self._preparing -= len(calls) - number
                for left in calls[number:]:
                    self._tell(left, STOPPING)
                raise
            self._preparing -= 1
        if self._stopping:
            self._give_back(STOPPING)
        self._staff()

    def _staff(self) -> None:
        """Let those begin for which there is a place."""
        while self._waiting and self._free:
            self._free -= 1
            self._moved_at = time.monotonic()
            self._spawn(self._run(self._waiting.popleft()))
        waiting = self._threads.waiting
        if waiting and self._free:
            kind = _first_kind(waiting)
            self._wake(self.prefetch_policy.threads(kind, len(waiting), self._threads.awake) if kind else 0)
        if self._timer is None and (waiting or self._shortest is not None) and self.busy:
            self._moved_at = time.monotonic()
            self._timer = self._loop.call_later(LOOK, self._watch)
        if not self.busy:
            self._still.set()

    def _wake(self, threads: int) -> None:
        number = min(threads, self._free)
        if number:
            self._free -= number
            self._threads.wake(number)

    async def _run(self, call: Call) -> None:
        call.begin()
        try:
            outcome = await self._runner.run(call)
        except asyncio.CancelledError:
            outcome = call.released(STOPPING)
        finally:
            self._free += 1
        call.end()
        self._hear([(call, outcome)], 0)

    def _hear(self, done: Sequence[tuple[Call, Outcome]], rested: int) -> None:
        self._free += rested
        if done:
            for call, _ in done:
                self.prefetch_policy.observe(call.task.task_type, call.took)
            self._completer.add([outcome for _, outcome in done])
        self._staff()
        self.on_capacity()

    def _on_drained(self) -> None:
        self.on_capacity()

    def _watch(self) -> None:
        """Looked at every so often while anything waits or has its time measured."""
        self._timer = None
        now = time.monotonic()
        self._end_late(now)
        waiting = self._threads.waiting
        if self._threads.taken != self._taken or not (waiting or self._waiting):
            self._taken, self._moved_at = self._threads.taken, now
        elif self._free:
            self._wake(len(waiting))
        elif now > self._moved_at + GIVE_BACK:
            self._give_back(BUSY)
        if self.busy and (waiting or self._waiting or self._shortest is not None):
            self._timer = self._loop.call_later(self._next_look(now), self._watch)

    def _next_look(self, now: float) -> float:
        if self._threads.waiting and self._free:
            return LOOK
        looks = [GIVE_BACK / 4]
        if self._shortest is not None:
            looks += [self._shortest, *(call.began + limit - now for call, limit in self._timed())]
        return max(0.0, min(looks))

    def _timed(self) -> list[tuple[Call, float]]:
        return [(call, limit) for call in self._threads.running if (limit := call.plan.timeout) is not None]

    def _end_late(self, now: float) -> None:
        for call, limit in self._timed():
            if now >= call.began + limit and call.end():
                self._threads.leave(call)
                self._hear([(call, call.timed_out(limit))], 1)

    def _give_back(self, reason: str) -> None:
        """What waits goes back to the queue, where others may take it."""
        for waiting in (self._threads.waiting, self._waiting):
            for _ in range(len(waiting)):
                try:
                    call = waiting.popleft()
                except IndexError:
                    break  # a thread was quicker
                self._tell(call, reason)

    def _tell(self, call: Call, reason: str) -> None:
        if reason == BUSY:
            self.prefetch_policy.observe(call.task.task_type, GIVE_BACK)
        if call.end():
            self._completer.add([call.released(reason)])

    def _fail(self, call: Call, error: Exception) -> None:
        """It cannot be run: its task is not as its job declares it, say."""
        log.error("a task could not be run", task=call.task.key, type=call.task.task_type, exc_info=error)
        if call.end():
            self._completer.add([call.failed(error)])

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)

    def _spawned_ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task could not be run by this worker; its lease ends", error=repr(error), exc_info=error)
        self._staff()
        self.on_capacity()


def _first_kind(waiting: deque[Call]) -> str | None:
    try:
        return waiting[0].task.task_type
    except IndexError:
        return None

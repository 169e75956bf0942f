"""The task executor of a worker: runs claimed tasks, at most `slots` handlers at once, and decides how many to claim.

That number follows from how long handlers run. Tasks that take microseconds are claimed by the hundred; for a type that
runs long, or has not run yet, only as many are claimed as can begin at once. If the estimate was wrong, tasks that wait
behind a long-running handler are released, so that other workers can claim them.
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

log = logger("executor")
WATCH_SECONDS = 0.003
RELEASE_SECONDS = 1.0
STOPPING = "worker stopping"
BUSY = "its worker is busy"


class TaskExecutor:
    """Runs calls, and passes their outcomes to the completer."""

    def __init__(self, runner: Runner, prefetch_policy: PrefetchPolicy, slots: int, completer: BatchCompleter) -> None:
        self.prefetch_policy = prefetch_policy
        self._listeners: list[Callable[[], None]] = []
        self._reserved = 0
        self._runner = runner
        self._slots = self._free = slots
        self._completer = completer
        completer.on_drained(self._notify)
        self._threads = ThreadPool(self._finished)
        self._waiting: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._taken = 0
        self._moved_at = 0.0
        self._shortest: float | None = None
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def queued(self) -> int:
        """The number of calls that wait for a slot or have one reserved."""
        return len(self._threads.waiting) + len(self._waiting) + self._preparing + self._reserved

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return self._free < self._slots or bool(self.queued or self._tasks)

    def demand(self) -> int:
        """How many tasks may be claimed now: those that can begin, and more of brief types once half have begun."""
        prefetch, queued = self.prefetch_policy.largest_prefetch(), self.queued
        if self._stopping or not self._completer.has_capacity or (self._free <= queued and prefetch <= 2 * queued):
            return 0
        return self.free_slots + max(0, prefetch - queued)

    @property
    def free_slots(self) -> int:
        """How many tasks could begin at once."""
        return max(0, self._free - self.queued)

    def demand_for(self, task_type: str) -> int:
        """How many tasks of this type may be claimed now: those that can begin, and more if they are brief."""
        if not self.demand():
            return 0
        return self.free_slots + sum(most for _, most in self.prefetch_allowance([task_type]))

    def prefetch_allowance(self, task_types: Sequence[str]) -> list[tuple[list[str], int]]:
        """The types that may wait here, in groups of similar duration, and how many tasks of each group."""
        queued = self.queued
        groups: dict[int, tuple[list[str], int]] = {}
        for task_type in task_types:
            prefetch = self.prefetch_policy.prefetch_for(task_type)
            together, most = groups.get(prefetch.bit_length(), ([], prefetch))
            groups[prefetch.bit_length()] = ([*together, task_type], min(most, prefetch))
        return [(together, most - queued) for together, most in groups.values() if most > queued]

    def on_capacity(self, notify: Callable[[], None]) -> None:
        """Call `notify` each time more may be claimed."""
        self._listeners.append(notify)

    def reserve(self, number: int) -> None:
        """Reserve slots for so many calls that will start soon; a negative number returns slots."""
        self._reserved += number
        if number < 0:
            self._start_waiting()
            self._notify()

    def start(self, works: Sequence[Call]) -> None:
        """Run calls as slots become free."""
        self._idle.clear()
        unready: defaultdict[str, list[Call]] = defaultdict(list)
        for call in works:
            if not self._queued_at_once(call):
                unready[call.task.job_id].append(call)
        for together in unready.values():
            self._preparing += len(together)
            self._spawn(self._prepare(together))
        if self._stopping:
            self.stop()
        self._start_waiting()

    def _queued_at_once(self, call: Call) -> bool:
        """Queue a call if nothing has to be read for it. Returns whether it was queued."""
        try:
            if not self._runner.ready(call):
                return False
            self._queue(call)
        except Exception:  # noqa: BLE001 - any error concerns only this call, and recurs in `_prepare`
            return False
        return True

    def stop(self) -> None:
        """Release calls that have not begun."""
        self._stopping = True
        self._release_waiting(STOPPING)

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for running calls, then release them: cancelled, or left behind in threads."""
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
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
            except psycopg.Error as error:
                self._release(call, f"its input could not be read: {cleaned(str(error))}")
            except Exception as error:  # noqa: BLE001 - it fails the task, as an error of its handler would
                self._fail(call, error)
            except BaseException:
                self._preparing -= len(calls) - number
                for left in calls[number:]:
                    self._release(left, STOPPING)
                raise
            self._preparing -= 1
        if self._stopping:
            self._release_waiting(STOPPING)
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Begin as many waiting calls as there are free slots."""
        while self._waiting and self._free:
            self._free -= 1
            self._moved_at = time.monotonic()
            self._spawn(self._run(self._waiting.popleft()))
        waiting = self._threads.waiting
        if waiting and self._free:
            task_type = _first_type(waiting)
            self._wake(self.prefetch_policy.threads(task_type, len(waiting), self._threads.awake) if task_type else 0)
        if self._timer is None and (waiting or self._shortest is not None) and self.busy:
            self._moved_at = time.monotonic()
            self._timer = self._loop.call_later(WATCH_SECONDS, self._watch)
        if not self.busy:
            self._idle.set()

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
        self._finished([(call, outcome)], 0)

    def _finished(self, done: Sequence[tuple[Call, Outcome]], idle_threads: int) -> None:
        self._free += idle_threads
        if done:
            for call, _ in done:
                self.prefetch_policy.observe(call.task.task_type, call.took)
            self._completer.add([outcome for _, outcome in done])
        self._start_waiting()
        self._notify()

    def _notify(self) -> None:
        for notify in self._listeners:
            notify()

    def _watch(self) -> None:
        """Runs periodically while a call waits or has a time-out."""
        self._timer = None
        now = time.monotonic()
        self._end_late(now)
        waiting = self._threads.waiting
        if self._threads.taken != self._taken or not (waiting or self._waiting):
            self._taken, self._moved_at = self._threads.taken, now
        elif self._free:
            self._wake(len(waiting))
        elif now > self._moved_at + RELEASE_SECONDS:
            self._release_waiting(BUSY)
        if self.busy and (waiting or self._waiting or self._shortest is not None):
            self._timer = self._loop.call_later(self._next_watch(now), self._watch)

    def _next_watch(self, now: float) -> float:
        if self._threads.waiting and self._free:
            return WATCH_SECONDS
        delays = [RELEASE_SECONDS / 4]
        if self._shortest is not None:
            delays += [self._shortest, *(call.began + limit - now for call, limit in self._timed())]
        return max(0.0, min(delays))

    def _timed(self) -> list[tuple[Call, float]]:
        return [(call, limit) for call in self._threads.running if (limit := call.plan.timeout) is not None]

    def _end_late(self, now: float) -> None:
        for call, limit in self._timed():
            if now >= call.began + limit and call.end():
                self._threads.leave(call)
                self._finished([(call, call.timed_out(limit))], 1)

    def _release_waiting(self, reason: str) -> None:
        """Return waiting calls to the queue, where other workers may claim them."""
        for waiting in (self._threads.waiting, self._waiting):
            for _ in range(len(waiting)):
                try:
                    call = waiting.popleft()
                except IndexError:
                    break  # a thread was quicker
                self._release(call, reason)

    def _release(self, call: Call, reason: str) -> None:
        if reason == BUSY:
            self.prefetch_policy.observe(call.task.task_type, RELEASE_SECONDS)
        if call.end():
            self._completer.add([call.released(reason)])

    def _fail(self, call: Call, error: Exception) -> None:
        """Fail a call that cannot be run, for example because its task is not as its job declares it."""
        log.error("a task could not be run", task=call.task.key, type=call.task.task_type, exc_info=error)
        if call.end():
            self._completer.add([call.failed(error)])

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._prepared)

    def _prepared(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "a task could not be run by this worker; its lease will expire", error=repr(error), exc_info=error
            )
        self._start_waiting()
        self._notify()


def _first_type(waiting: deque[Call]) -> str | None:
    try:
        return waiting[0].task.task_type
    except IndexError:
        return None

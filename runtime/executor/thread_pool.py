"""ThreadPool: threads that take calls of sync handlers from one queue, without a hop to the event loop for each.

One thread runs hundreds of very short handlers before it notifies the event loop; a long handler blocks only its own
thread, because the others take the waiting calls. The threads are daemons: a handler that never returns must not keep
its worker from ending.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from ..flow.outcome import Outcome
from .call import Call

ON, OFF = True, False
NOTIFY_AFTER = 0.004
"""Seconds for which outcomes may gather in a thread that has more to do."""

Report = Callable[[Sequence[tuple[Call, Outcome]], int], None]


class PoolThread:
    """One thread, and the call that it runs."""

    __slots__ = ("call", "go")

    def __init__(self) -> None:
        self.call: Call | None = None
        self.go: SimpleQueue[bool] = SimpleQueue()


class ThreadPool:
    """Runs calls in threads. `report` is called on the loop with the calls that ended and the number of idle threads.

    All methods are called on the loop. The caller decides how many threads are awake. `taken` rises, roughly, with each
    call that a thread takes; while it does not rise, no thread is free.
    """

    def __init__(self, report: Report) -> None:
        self.waiting: deque[Call] = deque()
        self.taken = 0
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._awake: set[PoolThread] = set()
        self._asleep: list[PoolThread] = []
        self._number = 0
        self._done: deque[tuple[Call, Outcome]] = deque()
        self._resting: deque[PoolThread] = deque()
        self._notifying = False
        self._notified_at = 0.0

    @property
    def awake(self) -> int:
        """How many threads take waiting calls."""
        return len(self._awake)

    @property
    def running(self) -> list[Call]:
        """The running calls."""
        return [call for thread in tuple(self._awake) if (call := thread.call) is not None]

    def wake(self, number: int) -> None:
        """Let `number` more threads take waiting calls."""
        for _ in range(number):
            thread = self._asleep.pop() if self._asleep else self._start()
            self._awake.add(thread)
            thread.go.put(ON)

    def leave(self, call: Call) -> None:
        """Leave the thread that runs `call` behind: it ends with the handler. Only for the winner of `call.end()`."""
        for thread in tuple(self._awake):
            if thread.call is call:
                self._awake.discard(thread)

    def close(self) -> None:
        """Let the threads end: idle ones now, busy ones with their handler or with the process."""
        self.waiting.clear()
        for thread in (*self._asleep, *self._awake):
            thread.go.put(OFF)
        self._asleep.clear()

    def _start(self) -> PoolThread:
        thread = PoolThread()
        threading.Thread(target=self._work, args=(thread,), name=f"handler-{self._number}", daemon=True).start()
        self._number += 1
        return thread

    def _work(self, thread: PoolThread) -> None:
        while thread.go.get() and self._take_turns(thread):
            self._resting.append(thread)
            self._notify()

    def _take_turns(self, thread: PoolThread) -> bool:
        """Run waiting calls until there are none. Returns False if the thread was left behind."""
        waiting = self.waiting
        while True:
            try:
                call = waiting.popleft()
            except IndexError:
                return True
            self.taken += 1
            call.begin()
            thread.call = call
            outcome = call.run()
            if not call.end():
                return False
            thread.call = None
            self._done.append((call, outcome))
            del outcome, call  # a result may be large, and this thread may wait long
            if not waiting or time.monotonic() > self._notified_at + NOTIFY_AFTER:
                self._notify()

    def _notify(self) -> None:
        """Notify the loop. One notification is enough: it takes everything that is there when it runs."""
        self._notified_at = time.monotonic()
        if not self._notifying:
            self._notifying = True
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:
                return  # the loop is closed

    def _collect(self) -> None:
        self._notifying = False  # before reading: a later call notifies again
        resting = [self._resting.popleft() for _ in range(len(self._resting))]
        done = [self._done.popleft() for _ in range(len(self._done))]
        self._awake.difference_update(resting)
        self._asleep.extend(resting)
        self._report(done, len(resting))

"""Lanes: threads that take calls of sync handlers from one queue, one after the other, with no hop for each.

Of handlers that do next to nothing one lane runs hundreds before the event loop hears of them; a handler that lasts
holds up nothing but its own lane, since the others take what waits. The threads are daemons: a handler that never
returns must not keep its worker from ending.
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
TELL_AFTER = 0.004
"""Seconds for which outcomes may gather in a lane that has more to do."""

Report = Callable[[Sequence[tuple[Call, Outcome]], int], None]


class Lane:
    """One thread, and the call that it runs."""

    __slots__ = ("call", "go")

    def __init__(self) -> None:
        self.call: Call | None = None
        self.go: SimpleQueue[bool] = SimpleQueue()


class Lanes:
    """Runs calls in threads. `report` is called on the loop, with what has ended and how many lanes have come to rest.

    All methods are called on the loop. How many lanes are awake at once is the caller's affair. `taken` rises, roughly,
    with each call that a lane takes: as long as it does not, none is free.
    """

    def __init__(self, report: Report) -> None:
        self.waiting: deque[Call] = deque()
        self.taken = 0
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._awake: set[Lane] = set()
        self._asleep: list[Lane] = []
        self._number = 0
        self._done: deque[tuple[Call, Outcome]] = deque()
        self._resting: deque[Lane] = deque()
        self._telling = False
        self._told_at = 0.0

    @property
    def awake(self) -> int:
        """How many lanes take what waits."""
        return len(self._awake)

    @property
    def running(self) -> list[Call]:
        """The calls under way."""
        return [call for lane in tuple(self._awake) if (call := lane.call) is not None]

    def wake(self, number: int) -> None:
        """Let `number` more lanes take what waits."""
        for _ in range(number):
            lane = self._asleep.pop() if self._asleep else self._start()
            self._awake.add(lane)
            lane.go.put(ON)

    def leave(self, call: Call) -> None:
        """Leave the lane that runs `call` behind: it ends with the handler. The right to tell its end must be won."""
        for lane in tuple(self._awake):
            if lane.call is call:
                self._awake.discard(lane)

    def close(self) -> None:
        """Let the threads end: idle ones now, busy ones with their handler or with the process."""
        self.waiting.clear()
        for lane in (*self._asleep, *self._awake):
            lane.go.put(OFF)
        self._asleep.clear()

    def _start(self) -> Lane:
        lane = Lane()
        threading.Thread(target=self._work, args=(lane,), name=f"handler-{self._number}", daemon=True).start()
        self._number += 1
        return lane

    def _work(self, lane: Lane) -> None:
        while lane.go.get() and self._take_turns(lane):
            self._resting.append(lane)
            self._tell()

    def _take_turns(self, lane: Lane) -> bool:
        """Run what waits until nothing does. Returns False where the lane was left behind."""
        waiting = self.waiting
        while True:
            try:
                call = waiting.popleft()
            except IndexError:
                return True
            self.taken += 1
            call.begin()
            lane.call = call
            outcome = call.run()
            if not call.end():
                return False
            lane.call = None
            self._done.append((call, outcome))
            del outcome, call  # a result may be large, and this thread may wait long
            if not waiting or time.monotonic() > self._told_at + TELL_AFTER:
                self._tell()

    def _tell(self) -> None:
        """Have the loop look. Once is enough: it takes all that is there when it comes to it."""
        self._told_at = time.monotonic()
        if not self._telling:
            self._telling = True
            try:
                self._loop.call_soon_threadsafe(self._hear)
            except RuntimeError:
                return  # the loop is closed: nobody listens

    def _hear(self) -> None:
        self._telling = False  # before looking: what comes later tells anew
        resting = [self._resting.popleft() for _ in range(len(self._resting))]
        done = [self._done.popleft() for _ in range(len(self._done))]
        self._awake.difference_update(resting)
        self._asleep.extend(resting)
        self._report(done, len(resting))

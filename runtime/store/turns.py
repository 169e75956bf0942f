"""The turns of a worker's loops: each is a use of the database or of the broker that should take seconds.

A loop that waits for work, for a free slot or for a handler is in no turn. So a turn that lasts too long means that the
server does not answer, for example because the network drops packets without a reset.
"""

import asyncio
import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from ..logs import logger
from .outage import Outage

log = logger("loops")
LEAST_SECONDS: Final = 5.0
"""A busy server may take so long, however short the leases are."""


@dataclass(slots=True)
class _Turn:
    loop: str
    since: float
    within: float
    stuck: bool = False


class Turns:
    """The turns of one worker that are in progress. A loop with a turn that lasts longer than `lease` is stuck."""

    def __init__(self, lease: float, outage: Outage) -> None:
        self._within = max(lease, LEAST_SECONDS)
        self._outage = outage
        self._open: dict[asyncio.Task[Any] | None, _Turn] = {}
        self._logged: set[str] = set()
        self._checked = -math.inf

    def belong_to(self, loop: str) -> None:
        """From now on the turns of the current asyncio task, and of those that it starts, belong to this loop."""
        _LOOP.set((self, loop))

    async def watch(self) -> None:
        """Log, until cancelled, each loop that gets stuck."""
        while True:
            await asyncio.sleep(self._within / 4)
            self.check()

    def check(self) -> None:
        """Find the loops that are stuck.

        A turn counts only if an earlier check has seen it: while a handler blocks the interpreter, no answer is read.
        """
        now = time.monotonic()
        for turn in self._open.values():
            turn.stuck = turn.stuck or (turn.since < self._checked and now - turn.since > turn.within)
        self._checked = now
        if self._outage.open:
            return  # that is logged already, once for the whole process
        for loop, seconds in self.stuck().items():
            if loop not in self._logged:
                self._logged.add(loop)
                what = "a loop is stuck: the server does not answer; the worker does not count as alive"
                log.warning(what, loop=loop, waited_s=seconds)

    def stuck(self) -> dict[str, float]:
        """The loops that are stuck, and for how many seconds each has waited."""
        now = time.monotonic()
        found: dict[str, float] = {}
        for turn in self._open.values():
            if turn.stuck:
                found[turn.loop] = max(found.get(turn.loop, 0.0), round(now - turn.since, 1))
        return found

    @contextmanager
    def turn(self, loop: str) -> Generator[None]:
        """A turn of a loop. A turn within a turn of the same asyncio task is part of it."""
        task = asyncio.current_task()
        if task in self._open:
            yield
            return
        turn = self._open[task] = _Turn(loop, time.monotonic(), self._within)
        try:
            yield
        finally:
            del self._open[task]
            if loop in self._logged and loop not in self.stuck():
                self._logged.remove(loop)
                log.info("a loop is no longer stuck", loop=loop, lasted_s=round(time.monotonic() - turn.since, 1))

    def allow(self, seconds: float) -> None:
        """Let the turn of the current asyncio task, if it is in one, last so long."""
        turn = self._open.get(asyncio.current_task())
        if turn is not None:
            turn.within = max(turn.within, time.monotonic() - turn.since + seconds)


_LOOP: ContextVar[tuple[Turns, str] | None] = ContextVar("loop of a worker", default=None)


@contextmanager
def turn() -> Generator[None]:
    """A turn of the current loop; outside a worker's loops it does nothing."""
    current = _LOOP.get()
    if current is None:
        yield
        return
    turns, loop = current
    with turns.turn(loop):
        yield


def allow(seconds: float) -> None:
    """Let the current turn last so long: it begins a statement that writes very many rows."""
    current = _LOOP.get()
    if current is not None:
        current[0].allow(seconds)

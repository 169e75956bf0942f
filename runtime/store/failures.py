"""Failures in a worker, since when and why: kept here until they are written with the worker's heartbeat."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .text import error_data

RECOVERED_SECONDS: Final = 60.0
"""A failure that has not recurred for so long is over."""


@dataclass(slots=True)
class _Failing:
    since: float
    last: float
    times: int
    error: Mapping[str, object]


class Failures:
    """The failures of one worker's loops and steps, by their names."""

    def __init__(self) -> None:
        self._known: dict[str, _Failing] = {}

    def add(self, name: str, error: BaseException) -> int:
        """Record a failure. Returns the number of consecutive failures."""
        now = time.monotonic()
        known = self._current().get(name)
        if known is None:
            known = self._known[name] = _Failing(now, now, 0, {})
        known.last, known.times, known.error = now, known.times + 1, error_data(error)
        return known.times

    def end(self, name: str) -> None:
        """Record a success: the named failure is over."""
        self._known.pop(name, None)

    def as_json(self) -> dict[str, Any]:
        """The current failures, by name: for how many seconds, how many in a row, and the last error."""
        now = time.monotonic()
        return {
            name: {"failing_s": round(now - one.since, 1), "times": one.times, "error": one.error}
            for name, one in self._current().items()
        }

    def _current(self) -> dict[str, _Failing]:
        since = time.monotonic() - RECOVERED_SECONDS
        self._known = {name: one for name, one in self._known.items() if one.last > since}
        return self._known

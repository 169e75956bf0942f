"""Reports of failures, logged once they are committed. Above a rate limit they are only counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast

from ..logs import logger
from .text import cleaned

log = logger("flow")
# If logging is not configured, Python would print warnings; a script shows timelines, not a worker's log.
logging.getLogger("coremachine.flow").addHandler(logging.NullHandler())
Level = Literal["warning", "error"]
MOST: Final = 10
WINDOW: Final = 60.0
SHORT: Final = 12
WORDS: Final = 300


class Report(NamedTuple):
    """One line of the log."""

    level: Level
    what: str
    fields: Mapping[str, object]


class Reports:
    """Logs the reports of a process: at most 10 per level and minute, and then the number of further ones by kind."""

    def __init__(self) -> None:
        self._logged: Counter[Level] = Counter()
        self._more: Counter[tuple[Level, str]] = Counter()
        self._window: asyncio.TimerHandle | None = None

    def log(self, reports: Sequence[Report]) -> None:
        """Log what can be logged now. Called on the loop."""
        for report in reports:
            if self._window is None:
                self._window = asyncio.get_running_loop().call_later(WINDOW, self.close)
            if self._logged[report.level] < MOST:
                self._logged[report.level] += 1
                _write(report.level, report.what, report.fields)
            else:
                self._more[report.level, report.what] += 1

    def close(self) -> None:
        """Log the numbers of the reports that were only counted, and start a new window."""
        if self._window is not None:
            self._window.cancel()
            self._window = None
        for (level, what), number in self._more.items():
            _write(level, what, {"more": number, "hint": "each is on its job's timeline"})
        self._logged.clear()
        self._more.clear()


def short(job_id: str) -> str:
    """The prefix of a job's id, as the command line shows it too."""
    return job_id[:SHORT]


def in_a_line(error: object) -> str:
    """An error as events hold it: its type and its message, in one line of at most about 300 characters."""
    if not isinstance(error, Mapping):
        return "no error given"
    data = cast("Mapping[str, object]", error)
    return cleaned(" ".join(f"{data.get('type')}: {data.get('message')}".split()), WORDS)


def _write(level: Level, what: str, fields: Mapping[str, object]) -> None:
    (log.warning if level == "warning" else log.error)(what, **fields)

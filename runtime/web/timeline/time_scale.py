"""From moments to places on the timeline, in percent, and the times that stand below it."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..problems import InvalidRequestError

SUBMINUTE_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
LONG_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2592000)
MAX_TICKS = 7
ZOOM_PATTERN = re.compile(r"(-?\d{1,9}(?:\.\d{1,3})?)~(-?\d{1,9}(?:\.\d{1,3})?)")
MIN_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class TimeScale:
    """The stretch of time that is shown, and the job's own beginning, from which zooms are counted in seconds."""

    origin: datetime
    first: datetime
    last: datetime

    @property
    def length(self) -> float:
        """In seconds."""
        return (self.last - self.first).total_seconds()

    def position(self, at: datetime) -> float:
        """Where a moment stands, in percent; below 0 and above 100 where it is not shown."""
        return round((at - self.first).total_seconds() / self.length * 100, 3)

    def interval(self, begin: datetime, end: datetime) -> tuple[float, float] | None:
        """Where a stretch begins and how wide it is, in percent; None where none of it is shown."""
        left, right = max(0.0, self.position(begin)), min(100.0, self.position(end))
        return (left, round(right - left, 3)) if right >= left and left <= 100 and right >= 0 else None  # noqa: PLR2004 - percent

    def ticks(self) -> list[tuple[float, datetime]]:
        """Round times, and where they stand."""
        step = next(
            (step for step in (*SUBMINUTE_STEPS, *LONG_STEPS) if self.length / step <= MAX_TICKS),
            self.length / MAX_TICKS,
        )
        begin = self.first.timestamp() // step * step
        moments = [datetime.fromtimestamp(begin + step * n, tz=self.first.tzinfo) for n in range(1, MAX_TICKS + 3)]
        return [(self.position(at), at) for at in moments if 2 <= self.position(at) <= 97]  # noqa: PLR2004 - not at the very edge

    def zoom(self, factor: float, shift: float = 0.0) -> str:
        """The zoom that shows `factor` times as much, moved by `shift` of the length, as it stands in an address."""
        middle = (self.first - self.origin).total_seconds() + self.length * (0.5 + shift)
        half = max(MIN_SECONDS, self.length * factor) / 2
        return f"{middle - half:.3f}~{middle + half:.3f}"


def time_scale(origin: datetime, end: datetime, zoom: str | None) -> TimeScale:
    """The scale of a job from its birth to its end, or what `zoom` says of it. Raises InvalidRequestError."""
    if zoom is None:
        # in steps: what was read for this scale a moment ago is still good, and a live picture does not creep
        step = 2.0 ** math.floor(math.log2(max((end - origin).total_seconds(), MIN_SECONDS) / 32))
        end = origin + timedelta(seconds=math.ceil((end - origin).total_seconds() / step) * step)
        margin = max((end - origin) * 0.02, timedelta(milliseconds=50))
        return TimeScale(origin, origin - margin / 2, end + margin)
    found = ZOOM_PATTERN.fullmatch(zoom)
    first, last = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if last - first < MIN_SECONDS:
        raise InvalidRequestError("zoom", f"{zoom[:40]!r} is no stretch of time", "give FIRST~LAST, in seconds")
    return TimeScale(origin, origin + timedelta(seconds=first), origin + timedelta(seconds=last))

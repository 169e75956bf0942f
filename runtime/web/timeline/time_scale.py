"""Converts times to positions on the timeline, in percent, and chooses the ticks of the axis."""

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
    """The range of time that is shown. Zooms are in seconds from `origin`, the time the job was created."""

    origin: datetime
    first: datetime
    last: datetime

    @property
    def length(self) -> float:
        """The length of the range in seconds."""
        return (self.last - self.first).total_seconds()

    def position(self, at: datetime) -> float:
        """The position of a time in percent; below 0 or above 100 if it is outside the range."""
        return round((at - self.first).total_seconds() / self.length * 100, 3)

    def interval(self, begin: datetime, end: datetime) -> tuple[float, float] | None:
        """The start and the width of a period in percent; None if it is outside the range."""
        left, right = max(0.0, self.position(begin)), min(100.0, self.position(end))
        return (left, round(right - left, 3)) if right >= left and left <= 100 and right >= 0 else None  # noqa: PLR2004 - percent

    def ticks(self) -> list[tuple[float, datetime]]:
        """Round times within the range, with their positions."""
        step = next(
            (step for step in (*SUBMINUTE_STEPS, *LONG_STEPS) if self.length / step <= MAX_TICKS),
            self.length / MAX_TICKS,
        )
        begin = self.first.timestamp() // step * step
        times = [datetime.fromtimestamp(begin + step * n, tz=self.first.tzinfo) for n in range(1, MAX_TICKS + 3)]
        return [(self.position(at), at) for at in times if 2 <= self.position(at) <= 97]  # noqa: PLR2004 - not at the edges

    def zoom(self, factor: float, shift: float = 0.0) -> str:
        """The zoom parameter for a range `factor` times as long, moved by `shift` times its length."""
        middle = (self.first - self.origin).total_seconds() + self.length * (0.5 + shift)
        half = max(MIN_SECONDS, self.length * factor) / 2
        return f"{middle - half:.3f}~{middle + half:.3f}"


def time_scale(origin: datetime, end: datetime, zoom: str | None) -> TimeScale:
    """The scale from `origin` to `end`, or of the zoom parameter if given. Raises InvalidRequestError."""
    if zoom is None:
        # the end moves in steps, so that cached queries stay valid and a live chart does not creep
        step = 2.0 ** math.floor(math.log2(max((end - origin).total_seconds(), MIN_SECONDS) / 32))
        end = origin + timedelta(seconds=math.ceil((end - origin).total_seconds() / step) * step)
        margin = max((end - origin) * 0.02, timedelta(milliseconds=50))
        return TimeScale(origin, origin - margin / 2, end + margin)
    found = ZOOM_PATTERN.fullmatch(zoom)
    first, last = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if last - first < MIN_SECONDS:
        raise InvalidRequestError(
            "zoom", f"{zoom[:40]!r} is not a range of time", "use FIRST~LAST, in seconds from the job's creation"
        )
    return TimeScale(origin, origin + timedelta(seconds=first), origin + timedelta(seconds=last))

"""Formats times, durations and numbers for people."""

import json
from datetime import datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86_400
ONE_DECIMAL_BELOW = 10


def duration(length: timedelta | None) -> str:
    """A duration in its two largest units: 0.4 s, 12 s, 1 m 46 s, 5 h 2 m, 3 d 4 h."""
    if length is None:
        return "–"
    seconds = max(0.0, length.total_seconds())
    if seconds < ONE_DECIMAL_BELOW:
        return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.1f} s"  # noqa: PLR2004 - a tenth of a second
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} m {whole % MINUTE} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} m"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def elapsed(begin: datetime | None, end: datetime | None, now: datetime | None = None) -> str:
    """The time from `begin` to `end`, or to `now` if it has not ended."""
    until = end or now
    return "–" if begin is None or until is None else duration(until - begin)


def format_number(number: int) -> str:
    """A number with a thin space between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def pluralize(number: int, word: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{format_number(number)} {word}{'' if number == 1 else 's'}"


def pretty_json(value: object) -> str:
    """A JSON value, indented."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def time_of_day(at: datetime) -> str:
    """The time of day. Scripts convert it to the reader's time zone."""
    return f"{at:%H:%M:%S}"


def iso(at: datetime) -> str:
    """ISO 8601 with milliseconds, for `time` elements."""
    return at.isoformat(timespec="milliseconds")

"""What the commands share when they print: colour, JSON, durations, short ids, and the name of this program."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO

import typer
from rich.console import Console
from rich.table import Table

MARK = re.compile(r"^(\d\d:\d\d:\d\d  )([✗▲●])(?= )", re.MULTILINE)
MARK_COLOURS = {"✗": "red", "▲": "yellow", "●": "green"}
ERROR_HERE = "← ERROR HERE"
SHORTEST = 6
SHORT_ID = 12
UNLIMITED_WIDTH = 10_000


def in_colour(stream: IO[str]) -> bool:
    """Whether to colour `stream`: it is a terminal, and neither NO_COLOR nor TERM=dumb is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def red(text: str) -> str:
    """`text` in red."""
    return typer.style(text, fg="red")


def coloured(timeline: str) -> str:
    """Lines of a timeline with coloured marks. Without the escape sequences it is the same text."""
    marked = MARK.sub(lambda found: found[1] + typer.style(found[2], fg=MARK_COLOURS[found[2]]), timeline)
    return marked.replace(ERROR_HERE, typer.style(ERROR_HERE, fg="red", bold=True))


def show_timeline(text: str) -> None:
    """Print lines of a timeline at once, never wrapped, in colour on a terminal."""
    sys.stdout.write(f"{coloured(text) if in_colour(sys.stdout) else text}\n")
    sys.stdout.flush()


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Print `value` as JSON, times as ISO 8601."""
    sys.stdout.write(f"{json.dumps(value, default=_json_value, ensure_ascii=False, indent=indent)}\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """Print a table, never wrapped: a table that is piped must not lose a column."""
    console = Console(width=UNLIMITED_WIDTH, highlight=False)
    console.no_color = console.no_color or not in_colour(console.file)
    console.print(table)


def format_duration(length: timedelta) -> str:
    """A length of time in its largest unit: 12 s, 3 min, 5 h, 2 d."""
    seconds = max(0.0, length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{int(seconds)} s"  # noqa: PLR2004 - from ten on, tenths are noise


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """For each id its shortest prefix of at least 6 characters that no other of them has."""
    ordered = sorted(ids)
    short: dict[str, str] = {}
    for place, one in enumerate(ordered):
        near = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        enough = (size for size in range(SHORTEST, len(one)) if not any(other.startswith(one[:size]) for other in near))
        short[one] = one[: next(enough, len(one))]
    return short


def program_command() -> str:
    """How to call this program from here: `coremachine`, or `python -m coremachine` if that is not on PATH."""
    if shutil.which("coremachine"):
        return "coremachine"
    python = Path(sys.executable)
    here = Path.cwd()
    return f"{python.relative_to(here) if python.is_relative_to(here) else python} -m coremachine"


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return str(value)

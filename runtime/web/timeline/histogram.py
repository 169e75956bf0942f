"""A stage with too many tasks to be drawn one by one: how many are in which condition, slice by slice."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ...store.session import Row
from .bars import EDGES, kind_after
from .event_display import tone

SLICES = 120
ENDED = {"good": "done", "bad": "failed", "warn": "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice of time: how many tasks were in each condition at its end, and how many failed within it."""

    queued: int
    running: int
    waiting: int
    done: int
    failed: int
    cancelled: int
    failures: int


def slices_of(counts: Sequence[Row], total: int, opened: int, current: int) -> list[Slice]:
    """The slices from the number of the `total` tasks that began something in one and ended it in another.

    `opened` is the slice in which the tasks were made, and `current` the one that is now: nothing is known beyond it.
    Slice 0 is before what is shown, and SLICES + 1 after it; a task with no time has not come so far.
    """
    changes: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (SLICES + 2))
    failures = [0] * (SLICES + 2)
    for row in counts:
        for kind, place, tasks in _changes(row):
            changes[kind][place] += tasks
            failures[place] += tasks if kind == "failed" and tasks > 0 else 0
    known = {kind: list(accumulate(changes[kind])) for kind in ("running", "waiting", *ENDED.values())}
    slices: list[Slice] = []
    for place in range(1, min(SLICES, current) + 1):
        levels = {kind: level[place] for kind, level in known.items()}
        # whoever is in no other condition is queued: at first, and again where a worker gave the task back
        queued = total - sum(levels.values()) if place >= opened else 0
        slices.append(Slice(queued=queued, failures=failures[place], **levels))
    return slices


def _changes(row: Row) -> Iterator[tuple[str, int, int]]:
    """In which slice how many tasks came into a condition, or left it."""
    began, ended, tasks = row["began"], row["ended"], row["tasks"]
    kind = "running" if row["event_type"] is None else _kind(row["event_type"])
    if kind != "queued" and began is not None:
        yield kind, began, tasks
        if ended is not None:
            yield kind, ended, -tasks
    # the row of a task that started once tells its end as well
    if row["event_type"] is None and ended is not None:
        yield ENDED[tone(row["status"])], ended, tasks


def _kind(event_type: str) -> str:
    """The condition of a task after an event."""
    edge = EDGES[event_type]
    return kind_after(edge.trigger, edge.target) or ENDED[tone(edge.target)]

"""A stage with too many tasks to be drawn one by one: how many are queued, running and done, slice by slice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..store.session import Row

SLICES = 120


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of time: how many tasks were queued, running and done at its end."""

    queued: int
    running: int
    done: int


def slices_of(counts: Sequence[Row], opened: int, current: int) -> list[Slice]:
    """The slices from the number of tasks that started in one and ended in another.

    `opened` is the slice in which the tasks were made, and `current` the one that is now: nothing is known beyond it.
    Slice 0 is before what is shown, and SLICES + 1 after it; a task with no time has not come so far.
    """
    total = sum(row["tasks"] for row in counts)
    started = _so_far((row["started"], row["tasks"]) for row in counts)
    # a task that was cancelled before it started has an end alone
    cut = _so_far((row["ended"], row["tasks"]) for row in counts if row["started"] is None)
    ended = _so_far((row["ended"], row["tasks"]) for row in counts)
    return [
        Slice(
            queued=(total - started[place] - cut[place]) if place >= opened else 0,
            running=started[place] - (ended[place] - cut[place]),
            done=ended[place],
        )
        for place in range(1, min(SLICES, current) + 1)
    ]


def _so_far(moments: Iterable[tuple[int | None, int]]) -> list[int]:
    """For each slice, how many had come by its end."""
    number = [0] * (SLICES + 2)
    for place, tasks in moments:
        if place is not None:
            number[place] += tasks
    return list(accumulate(number))

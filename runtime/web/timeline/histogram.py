"""A histogram of a big stage: how many tasks are in each condition over time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .bars import TRANSITION_BY_EVENT, bar_kind_after
from .event_display import tone
from .rows import TaskCountRow

BUCKETS = 120
END_KIND_BY_TONE = {"good": "done", "bad": "failed", "warn": "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A period: the tasks in each condition at its end, and the failures within it."""

    queued: int
    running: int
    waiting: int
    done: int
    failed: int
    cancelled: int
    failures: int


def build_histogram(counts: Sequence[TaskCountRow], total: int, first_bucket: int, current_bucket: int) -> list[Bucket]:
    """Build the buckets of a stage with `total` tasks.

    The tasks were created in `first_bucket`; `current_bucket` is now, and nothing is known after it. Bucket 0 is before
    the shown range, and BUCKETS + 1 after it. A count without a bucket is of tasks that have not got so far.
    """
    changes: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (BUCKETS + 2))
    failures = [0] * (BUCKETS + 2)
    for row in counts:
        for kind, bucket, tasks in _changes(row):
            changes[kind][bucket] += tasks
            failures[bucket] += tasks if kind == "failed" and tasks > 0 else 0
    levels = {kind: list(accumulate(changes[kind])) for kind in ("running", "waiting", *END_KIND_BY_TONE.values())}
    buckets: list[Bucket] = []
    for bucket in range(1, min(BUCKETS, current_bucket) + 1):
        tasks_in = {kind: level[bucket] for kind, level in levels.items()}
        # all other tasks are queued: they have not started, or a worker released them
        queued = total - sum(tasks_in.values()) if bucket >= first_bucket else 0
        buckets.append(Bucket(queued=queued, failures=failures[bucket], **tasks_in))
    return buckets


def _changes(row: TaskCountRow) -> Iterator[tuple[str, int, int]]:
    """The changes in a count, as condition, bucket and number of tasks."""
    began, ended, tasks = row.began, row.ended, row.tasks
    kind = "running" if row.event_type is None else _kind_after_event(row.event_type)
    if kind != "queued" and began is not None:
        yield kind, began, tasks
        if ended is not None:
            yield kind, ended, -tasks
    # a count by status includes how the tasks ended
    if row.event_type is None and row.status is not None and ended is not None:
        yield END_KIND_BY_TONE[tone(row.status)], ended, tasks


def _kind_after_event(event_type: str) -> str:
    """The condition of a task after an event of this type."""
    transition = TRANSITION_BY_EVENT[event_type]
    return bar_kind_after(transition.trigger, transition.target) or END_KIND_BY_TONE[tone(transition.target)]

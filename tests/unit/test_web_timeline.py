"""The timeline chart: bars from events, the histogram, labels and positions in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coremachine.runtime.web.problems import InvalidRequestError
from coremachine.runtime.web.timeline.bars import needs_events, task_history
from coremachine.runtime.web.timeline.formatting import duration, pluralize
from coremachine.runtime.web.timeline.histogram import BUCKETS, build_histogram
from coremachine.runtime.web.timeline.labels import place_labels
from coremachine.runtime.web.timeline.rows import ChartEventRow, ChartTaskRow, TaskCountRow
from coremachine.runtime.web.timeline.time_scale import time_scale

CREATED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def task(**given: object) -> ChartTaskRow:
    plain: dict[str, Any] = {
        "task_id": "t",
        "task_number": 1,
        "created_at": CREATED,
        "started_at": None,
        "finished_at": None,
        "status": "queued",
        "attempt": 1,
        "max_attempts": 2,
        "due_at": None,
        "error_type": None,
        "why": 0,
    }
    return ChartTaskRow.of({**plain, "lease_owner": None, "lease_number": 0, "rescues": 0, **given})


def event(kind: str, seconds: float, status: str = "success", attempt: int = 1) -> ChartEventRow:
    known = {"event_type": kind, "event_status": status, "created_at": at(seconds), "attempt": attempt}
    return ChartEventRow.of({**known, "task_id": "t", "event_id": int(seconds * 10), "worker": "host-1"})


def bars(row: ChartTaskRow, events: list[ChartEventRow]) -> list[tuple[str, float, float | None, int]]:
    return [
        (
            bar.kind,
            (bar.begin - CREATED).total_seconds(),
            (bar.end - CREATED).total_seconds() if bar.end else None,
            bar.attempt,
        )
        for bar in task_history(row, events).bars
    ]


def test_each_attempt_is_a_bar_and_the_wait_between_them_is_another_kind() -> None:
    row = task(status="failed", attempt=2, lease_number=2, started_at=at(6), finished_at=at(8))
    events = [
        event("task_started", 1),
        event("task_retry_scheduled", 3, "warning"),
        event("task_started", 6, attempt=2),
        event("task_failed", 8, "failure", attempt=2),
    ]
    assert needs_events(row)
    assert bars(row, events) == [
        ("queued", 0, 1, 1),
        ("running", 1, 3, 1),
        ("waiting", 3, 6, 2),
        ("running", 6, 8, 2),
    ]
    assert [mark.status for mark in task_history(row, events).markers] == ["warning", "failure"]


def test_a_released_and_a_rescued_task_are_queued_again_not_waiting() -> None:
    row = task(status="processing", lease_number=3, started_at=at(5))
    events = [
        event("task_started", 1),
        event("task_released", 2, "warning"),
        event("task_started", 3),
        event("task_rescued", 4, "warning"),
        event("task_started", 5),
    ]
    assert [bar[0] for bar in bars(row, events)] == ["queued", "running", "queued", "running", "queued", "running"]
    assert bars(row, events)[-1] == ("running", 5, None, 1)


def test_a_task_without_events_has_its_history_from_its_own_times() -> None:
    done = task(status="completed", lease_number=1, started_at=at(2), finished_at=at(5))
    assert not needs_events(done)
    assert bars(done, []) == [("queued", 0, 2, 1), ("running", 2, 5, 1)]
    assert bars(task(), []) == [("queued", 0, None, 1)]
    assert bars(task(status="cancelled", finished_at=at(4)), []) == [("queued", 0, 4, 1)]


def by_status(status: str, began: int | None, ended: int | None, tasks: int) -> TaskCountRow:
    return TaskCountRow(event_type=None, status=status, began=began, ended=ended, tasks=tasks)


def by_event(event_type: str, began: int, ended: int | None, tasks: int = 1) -> TaskCountRow:
    return TaskCountRow(event_type=event_type, status=None, began=began, ended=ended, tasks=tasks)


def test_each_bucket_counts_each_task_of_the_stage_once() -> None:
    counts = [
        by_status("completed", 3, 5, 10),
        by_status("processing", 4, None, 5),
        by_status("cancelled", None, 6, 2),
        by_status("queued", None, None, 3),
    ]
    slices = build_histogram(counts, 20, first_bucket=2, current_bucket=7)
    assert len(slices) == 7
    assert [(one.queued, one.running, one.done, one.cancelled) for one in slices] == [
        (0, 0, 0, 0),
        (20, 0, 0, 0),
        (10, 10, 0, 0),
        (5, 15, 0, 0),
        (5, 5, 10, 0),
        (3, 5, 10, 2),
        (3, 5, 10, 2),
    ]
    assert len(build_histogram(counts, 20, first_bucket=-4, current_bucket=10_000)) == BUCKETS


def test_a_bucket_separates_waiting_from_running_and_failed_from_done() -> None:
    counts = [
        by_status("completed", 2, 3, 7),
        by_event("task_started", 2, 3),
        by_event("task_retry_scheduled", 3, 5),
        by_event("task_started", 5, 6),
        by_event("task_failed", 6, None),
        by_event("task_started", 2, 4),
        by_event("task_released", 4, None),
    ]
    slices = build_histogram(counts, 9, first_bucket=1, current_bucket=7)
    assert [(one.queued, one.running, one.waiting, one.done, one.failed) for one in slices] == [
        (9, 0, 0, 0, 0),
        (0, 9, 0, 0, 0),
        (0, 1, 1, 7, 0),
        (1, 0, 1, 7, 0),
        (1, 1, 0, 7, 0),
        (1, 0, 0, 7, 1),
        (1, 0, 0, 7, 1),
    ]
    assert [one.failures for one in slices] == [0, 0, 0, 0, 0, 1, 0]


def test_a_released_task_is_queued_although_it_started_once() -> None:
    row = task(lease_number=1, started_at=at(1), due_at=at(2))
    assert needs_events(row)
    assert bars(row, [event("task_started", 1), event("task_released", 2, "warning")])[-1] == ("queued", 2, None, 1)


def test_a_failed_a_retried_and_a_successful_attempt_have_different_statuses() -> None:
    events = [
        event("task_started", 1),
        event("task_retry_scheduled", 3, "warning"),
        event("task_started", 6, attempt=2),
        event("task_failed", 8, "failure", attempt=2),
    ]
    row = task(status="failed", attempt=2, lease_number=2, started_at=at(6), finished_at=at(8))
    assert [bar.status for bar in task_history(row, events).bars] == ["", "warning", "", "failure"]


def test_labels_are_placed_beside_markers_if_they_fit() -> None:
    labels = place_labels([(1, "created"), (1, "queued"), (50, "stop_requested"), (52, "resumed"), (98, "failed")])
    assert [(one.position, one.text, one.before) for one in labels] == [
        (1, "created, queued", False),
        (50, "stop_requested", True),
        (52, "resumed", False),
        (98, "failed", True),
    ]
    # no marker is in the zoomed range
    assert place_labels([]) == []


def test_a_time_has_a_position_and_a_period_outside_the_range_has_none() -> None:
    scale = time_scale(CREATED, at(100), "10~30")
    assert (scale.position(at(10)), scale.position(at(20)), scale.position(at(30))) == (0, 50, 100)
    assert scale.interval(at(0), at(15)) == (0, 25)
    assert scale.interval(at(0), at(5)) is None
    assert scale.interval(at(40), at(50)) is None
    assert scale.zoom(0.5) == "15.000~25.000"
    assert 2 <= len(scale.ticks()) <= 9


def test_the_scale_of_a_running_job_changes_in_steps() -> None:
    assert time_scale(CREATED, at(100.1), None) == time_scale(CREATED, at(101.9), None)
    assert time_scale(CREATED, at(100), None) != time_scale(CREATED, at(110), None)
    assert time_scale(CREATED, CREATED, None).length > 0


@pytest.mark.parametrize("zoom", ["", "1", "5~1", "1~1", "1~1.001", "a~b", "1~2~3", "1e3~2e3", " 1~2"])
def test_an_invalid_zoom_is_rejected(zoom: str) -> None:
    with pytest.raises(InvalidRequestError, match="not a range of time"):
        time_scale(CREATED, at(10), zoom)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.05, "50 ms"), (0.4, "0.4 s"), (12.4, "12 s"), (106, "1 m 46 s"), (18_120, "5 h 2 m"), (273_600, "3 d 4 h")],
)
def test_a_duration_is_formatted_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_a_count_of_one_is_singular() -> None:
    assert [pluralize(1, "task"), pluralize(0, "task"), pluralize(12_000, "task")] == [
        "1 task",
        "0 tasks",
        "12\u202f000 tasks",
    ]

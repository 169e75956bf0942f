from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from coremachine.diagrams.timeline import (
    Timeline,
    TimelineEvent,
    TimelineStageSummary,
    first_failure,
    last_successful,
    summarise,
)
from coremachine.diagrams.timeline_text import render_timeline

PICTURE = """\
Job: abc123 - process_raster_v2
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
10:00:00  ● job_created
10:00:01  ● job_queued
10:00:05  ● stage_started (stage 1)
10:00:06  ● task_started (task-001)
10:00:15  ● task_completed (task-001)
10:00:16  ● stage_completed (stage 1)
10:00:17  ● stage_started (stage 2)
10:00:18  ● task_started (task-002)
10:01:45  ✗ task_failed (task-002)  ← ERROR HERE
10:01:46  ✗ job_failed
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
Last successful: task_started (task-002) at 10:00:18"""

START = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)


class Log:
    """Builds a job's events one after another, at given seconds after its start."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.events: list[TimelineEvent] = []

    def add(
        self,
        second: float,
        event_type: str,
        status: str = "success",
        *,
        stage: int | None = None,
        task: int | None = None,
    ) -> None:
        """Add the next event; event ids count from 1."""
        self.events.append(
            TimelineEvent(
                event_id=len(self.events) + 1,
                type=event_type,
                status=status,
                at=self.start + timedelta(seconds=second),
                stage=stage,
                task_number=task,
            ),
        )


def timeline(events: Sequence[TimelineEvent], shown: Sequence[TimelineEvent] | None = None) -> Timeline:
    return Timeline(
        job_id="abc123" + "0" * 58,
        short_id="abc123",
        job_type="process_raster_v2",
        events=events if shown is None else shown,
        last_successful=last_successful(events),
        first_failure=first_failure(events),
    )


def lines(log: Log, *, show_all: bool = False) -> list[str]:
    return render_timeline(timeline(log.events), tz=UTC, show_all=show_all).splitlines()


@pytest.fixture
def failing() -> Log:
    log = Log()
    log.add(0, "job_created")
    log.add(1, "job_queued")
    log.add(4, "job_started")
    log.add(5, "stage_started", stage=1)
    log.add(6, "task_started", stage=1, task=1)
    log.add(15, "task_completed", stage=1, task=1)
    log.add(16, "stage_completed", stage=1)
    log.add(17, "stage_started", stage=2)
    log.add(18, "task_started", stage=2, task=2)
    log.add(105, "task_failed", "failure", stage=2, task=2)
    log.add(105, "stage_failed", "failure", stage=2)
    log.add(106, "job_failed", "failure")
    return log


def test_a_failing_job_of_two_stages_is_drawn_to_the_character(failing: Log) -> None:
    assert render_timeline(timeline(failing.events), tz=UTC).splitlines() == PICTURE.splitlines()


def test_everything_is_shown_on_request(failing: Log) -> None:
    everything = lines(failing, show_all=True)
    assert "10:00:04  ● job_started" in everything
    assert "10:01:45  ✗ stage_failed (stage 2)" in everything


def test_the_order_in_which_events_are_given_does_not_matter(failing: Log) -> None:
    assert render_timeline(timeline(failing.events[::-1]), tz=UTC) == PICTURE


def test_events_of_one_moment_are_ordered_by_their_ids() -> None:
    log = Log()
    log.add(0, "job_created")
    log.add(0, "job_queued")
    assert lines(log)[2:4] == ["10:00:00  ● job_created", "10:00:00  ● job_queued"]


def test_parallel_tasks_stand_in_the_order_of_time_and_only_the_first_failure_is_marked() -> None:
    log = Log()
    log.add(0, "stage_started", stage=1)
    log.add(1, "task_started", stage=1, task=1)
    log.add(1, "task_started", stage=1, task=2)
    log.add(2, "task_failed", "failure", stage=1, task=2)
    log.add(3, "task_failed", "failure", stage=1, task=1)
    assert lines(log)[2:-2] == [
        "10:00:00  ● stage_started (stage 1)",
        "10:00:01  ● task_started (task-001)",
        "10:00:01  ● task_started (task-002)",
        "10:00:02  ✗ task_failed (task-002)  ← ERROR HERE",
        "10:00:03  ✗ task_failed (task-001)",
    ]
    assert lines(log)[-1] == "Last successful: task_started (task-002) at 10:00:01"


def test_a_retry_is_a_warning_and_no_failure() -> None:
    log = Log()
    log.add(0, "task_started", stage=1, task=7)
    log.add(1, "task_retry_scheduled", "warning", stage=1, task=7)
    log.add(9, "task_started", stage=1, task=7)
    log.add(10, "task_completed", stage=1, task=7)
    log.add(11, "checkpoint", "info", stage=1, task=7)
    assert lines(log)[2:] == [
        "10:00:00  ● task_started (task-007)",
        "10:00:01  ▲ task_retry_scheduled (task-007)",
        "10:00:09  ● task_started (task-007)",
        "10:00:10  ● task_completed (task-007)",
        "━" * 40,
        "Last successful: task_completed (task-007) at 10:00:10",
    ]


def test_warnings_name_what_they_are_about() -> None:
    log = Log()
    log.add(0, "stage_empty", "warning", stage=3)
    log.add(1, "stale_result_rejected", "warning", stage=1, task=1234)
    log.add(2, "message_dead_lettered", "warning")
    log.add(3, "job_cancelled", "warning")
    log.add(4, "gap_found", "warning", stage=2)
    assert lines(log)[2:7] == [
        "10:00:00  ▲ stage_empty (stage 3)",
        "10:00:01  ▲ stale_result_rejected (task-1234)",
        "10:00:02  ▲ message_dead_lettered",
        "10:00:03  ▲ job_cancelled",
        "10:00:04  ▲ gap_found (stage 2)",
    ]


def test_a_date_stands_where_the_day_changes_between_two_lines() -> None:
    log = Log(datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC))
    log.add(0, "job_created")
    log.add(1, "job_queued")
    log.add(3, "stage_started", stage=1)
    log.add(86403, "stage_completed", stage=1)
    assert lines(log)[2:-2] == [
        "23:59:58  ● job_created",
        "23:59:59  ● job_queued",
        "2026-11-23",
        "00:00:01  ● stage_started (stage 1)",
        "2026-11-24",
        "00:00:01  ● stage_completed (stage 1)",
    ]


def test_the_day_changes_at_midnight_of_the_reader() -> None:
    log = Log(datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC))
    log.add(0, "job_created")
    log.add(1, "job_queued")
    text = render_timeline(timeline(log.events), tz=timezone(timedelta(hours=1)))
    assert text.splitlines()[2:5] == ["23:59:59  ● job_created", "2026-11-23", "00:00:00  ● job_queued"]


def test_the_last_success_stands_in_the_failed_stage() -> None:
    log = Log()
    log.add(0, "task_started", stage=2, task=2)
    log.add(1, "callback_executed")
    log.add(2, "task_failed", "failure", stage=2, task=2)
    log.add(3, "task_completed", stage=2, task=3)
    assert last_successful(log.events) == log.events[0]


def test_the_last_success_stands_before_the_failed_stage_where_that_has_none() -> None:
    log = Log()
    log.add(0, "stage_completed", stage=1)
    log.add(1, "stage_failed", "failure", stage=2)
    assert last_successful(log.events) == log.events[0]


def test_without_failure_the_last_success_is_the_last_there_is() -> None:
    log = Log()
    log.add(0, "job_completed")
    log.add(1, "callback_executed")
    log.add(2, "job_cancelled", "warning")
    assert last_successful(log.events) == log.events[1]


def test_where_nothing_succeeded_the_last_line_says_so() -> None:
    log = Log()
    log.add(0, "job_failed", "failure")
    assert lines(log)[2:] == ["10:00:00  ✗ job_failed  ← ERROR HERE", "━" * 40, "Last successful: nothing yet"]


def test_a_stage_that_fails_on_its_own_marks_the_first_failure_that_is_shown() -> None:
    log = Log()
    log.add(0, "stage_failed", "failure", stage=1)
    log.add(1, "job_failed", "failure")
    assert lines(log)[2] == "10:00:01  ✗ job_failed  ← ERROR HERE"
    assert lines(log, show_all=True)[2] == "10:00:00  ✗ stage_failed (stage 1)  ← ERROR HERE"


def test_a_page_that_begins_after_the_first_failure_marks_no_other() -> None:
    log = Log()
    log.add(0, "task_failed", "failure", stage=1, task=1)
    log.add(1, "task_failed", "failure", stage=1, task=2)
    page = render_timeline(timeline(log.events, log.events[1:]), tz=UTC)
    assert page.splitlines()[2] == "10:00:01  ✗ task_failed (task-002)"


def test_events_of_a_job_name_no_stage_and_those_of_a_stage_no_task() -> None:
    log = Log()
    log.add(0, "stage_completed", stage=1, task=9)
    log.add(1, "job_failed", "failure", stage=1)
    log.add(2, "callback_executed", stage=1)
    assert lines(log)[2:5] == [
        "10:00:00  ● stage_completed (stage 1)",
        "10:00:01  ✗ job_failed  ← ERROR HERE",
        "10:00:02  ● callback_executed",
    ]


def fan_out(tasks: int) -> Log:
    """A stage of `tasks` tasks, one a millisecond, of which task 2 is retried and the last one fails."""
    log = Log()
    log.add(0, "stage_started", stage=1)
    for number in range(1, tasks + 1):
        log.add(1 + number / 1000, "task_started", stage=1, task=number)
        if number == 2:
            log.add(1 + number / 1000, "task_retry_scheduled", "warning", stage=1, task=number)
            log.add(1 + number / 1000, "task_started", stage=1, task=number)
        if number < tasks:
            log.add(1 + number / 1000, "task_completed", stage=1, task=number)
    log.add(2 + tasks / 1000, "task_failed", "failure", stage=1, task=tasks)
    return log


def test_a_stage_of_100_000_tasks_takes_one_line_beside_its_failures_and_warnings() -> None:
    assert lines(fan_out(100_000))[2:] == [
        "10:00:00  ● stage_started (stage 1)",
        "10:00:01  … 100 000 tasks: 100 001 started, 99 999 completed (10:00:01 – 10:01:41)",
        "10:00:01  ▲ task_retry_scheduled (task-002)",
        "10:01:42  ✗ task_failed (task-100000)  ← ERROR HERE",
        "━" * 40,
        "Last successful: task_started (task-100000) at 10:01:41",
    ]


@pytest.mark.parametrize(("tasks", "summed_up"), [(99, False), (100, True)])
def test_only_a_stage_of_more_than_200_lines_is_summed_up(tasks: int, *, summed_up: bool) -> None:
    log = fan_out(tasks)
    assert len(log.events) == 2 * tasks + 3
    log.events = [event for event in log.events if event.status != "failure"]
    assert any("…" in line for line in lines(log)) is summed_up


def test_a_long_stage_does_not_hide_the_lines_of_a_short_one() -> None:
    log = fan_out(500)
    log.add(90, "task_started", stage=2, task=501)
    assert "10:01:30  ● task_started (task-501)" in lines(log)


def test_events_summed_up_beforehand_give_the_same_text() -> None:
    log = fan_out(1_000)
    listed, summaries = summarise(log.events)
    assert len(listed) == 3
    assert summaries[0].counts == {"task_started": 1_001, "task_completed": 999}
    short = replace(timeline(log.events, listed), summaries=summaries)
    assert render_timeline(short, tz=UTC) == render_timeline(timeline(log.events), tz=UTC)


def test_events_summed_up_beforehand_give_the_same_text_with_everything_shown() -> None:
    log = fan_out(1_000)
    log.add(2, "checkpoint", "info", stage=1, task=5)
    listed, summaries = summarise(log.events, show_all=True)
    short = replace(timeline(log.events, listed), summaries=summaries)
    text = render_timeline(short, tz=UTC, show_all=True)
    assert text == render_timeline(timeline(log.events), tz=UTC, show_all=True)
    assert "1 000 tasks: 1 001 started, 999 completed, 1 checkpoint (" in text


def test_a_summary_from_elsewhere_stands_at_its_first_event() -> None:
    log = Log()
    log.add(0, "stage_started", stage=1)
    log.add(9, "stage_completed", stage=1)
    summary = TimelineStageSummary(
        stage=1,
        tasks=12_345,
        counts={"task_completed": 12_345, "task_started": 12_345},
        first_event_id=7,
        first_at=START + timedelta(seconds=1),
        last_at=START + timedelta(seconds=8),
    )
    events = [log.events[0], replace(log.events[1], event_id=24_697)]
    text = render_timeline(replace(timeline(events), summaries=(summary,)), tz=UTC)
    assert text.splitlines()[2:5] == [
        "10:00:00  ● stage_started (stage 1)",
        "10:00:01  … 12 345 tasks: 12 345 started, 12 345 completed (10:00:01 – 10:00:08)",
        "10:00:09  ● stage_completed (stage 1)",
    ]

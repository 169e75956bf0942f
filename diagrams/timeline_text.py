"""A timeline as text for a terminal."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from .timeline import Timeline, TimelineEvent, TimelineStageSummary, summarise, visible

RULE = "━" * 40
MARKS = {"failure": "✗", "warning": "▲"}
OTHER_MARK = "●"
ERROR_HERE = "  ← ERROR HERE"
COUNTED_FIRST = ("task_started", "task_completed")


def render_timeline(timeline: Timeline, *, tz: tzinfo, show_all: bool = False) -> str:
    """The timeline as lines of text, with times in `tz`, and no line break at the end.

    A date line appears where the day changes between two lines. `show_all` lists every event.
    """
    events, summaries = summarise(timeline.events, show_all=show_all)
    entries: list[TimelineEvent | TimelineStageSummary] = [*events, *timeline.summaries, *summaries]
    entries.sort(key=lambda entry: entry.order)
    failed = _failure_to_mark(timeline, events, show_all=show_all)
    lines = [f"Job: {timeline.short_id} - {timeline.job_type}", RULE]
    day = None
    for entry in entries:
        at = entry.at.astimezone(tz)
        if day is not None and at.date() != day:
            lines.append(at.date().isoformat())
        day = at.date()
        lines.append(f"{at:%H:%M:%S}  {_entry_text(entry, tz)}{_marked(entry, failed)}")
    return "\n".join((*lines, RULE, _closing(timeline.last_successful, tz)))


def _failure_to_mark(timeline: Timeline, shown: tuple[TimelineEvent, ...], *, show_all: bool) -> int | None:
    """The id of the first failure; if that is not shown (a stage that failed on its own), of the next failure shown."""
    first = timeline.first_failure
    if first is None or show_all or visible(first):
        return first.event_id if first else None
    later = (event.event_id for event in shown if event.status == "failure" and event.order > first.order)
    return next(later, None)


def _marked(entry: TimelineEvent | TimelineStageSummary, failed: int | None) -> str:
    return ERROR_HERE if isinstance(entry, TimelineEvent) and entry.event_id == failed else ""


def _entry_text(entry: TimelineEvent | TimelineStageSummary, tz: tzinfo) -> str:
    if isinstance(entry, TimelineEvent):
        return f"{MARKS.get(entry.status, OTHER_MARK)} {named(entry)}"
    return f"… {_counted(entry)} ({_clock(entry.first_at, tz)} – {_clock(entry.last_at, tz)})"


def named(event: TimelineEvent) -> str:
    """The label of an event: its type, and its task or stage."""
    about_a_task = event.task_number is not None and not event.type.startswith("stage_")
    if about_a_task:
        return f"{event.type} (task-{event.task_number:03d})"
    if event.stage is not None and not event.type.startswith(("job_", "callback_")):
        return f"{event.type} (stage {event.stage})"
    return event.type


def _counted(summary: TimelineStageSummary) -> str:
    counts = ", ".join(f"{_grouped(number)} {name.removeprefix('task_')}" for name, number in _ordered(summary))
    return f"{_grouped(summary.tasks)} tasks: {counts}"


def _ordered(summary: TimelineStageSummary) -> Iterator[tuple[str, int]]:
    for name in COUNTED_FIRST:
        if name in summary.counts:
            yield name, summary.counts[name]
    yield from sorted((name, number) for name, number in summary.counts.items() if name not in COUNTED_FIRST)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _clock(at: datetime, tz: tzinfo) -> str:
    return f"{at.astimezone(tz):%H:%M:%S}"


def _closing(last: TimelineEvent | None, tz: tzinfo) -> str:
    if last is None:
        return "Last successful: nothing yet"
    return f"Last successful: {named(last)} at {_clock(last.at, tz)}"

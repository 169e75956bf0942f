"""Following a job: its timeline, line by line as the events arrive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import tzinfo

from ...diagrams.timeline import Timeline, TimelineEvent, visible
from ...diagrams.timeline_text import ERROR_HERE, render_timeline
from ...statemachine.lifecycle import Lifecycle
from ...statemachine.lifecycles import CALLBACK, JOB
from ..app import AsyncCoreMachine
from ..app.async_app import local_zone
from ..app.history import EventCursor, timeline_event
from .job_view import load_job
from .sleep import cancellable_sleep
from .terminal import show_json, show_timeline

POLL_SECONDS = 0.25
HEADER_LINES = 2
CLOSING_LINES = 2


def _event_types(lifecycle: Lifecycle) -> dict[str, bool]:
    """Event types of the lifecycle, and whether each leads to a terminal state."""
    return {one.event.type: lifecycle.by_name[one.target].terminal for one in lifecycle.transitions}


JOB_EVENTS = _event_types(JOB)
CALLBACK_EVENTS = _event_types(CALLBACK)
COMPLETED_EVENT = next(one.event.type for one in JOB.transitions if one.trigger == "complete")


@dataclass
class EndDetector:
    """Whether a job is over, by its events alone: its row may be ahead of the events that a follower has received."""

    callback: bool
    over: bool = False
    _callback_pending: bool = False
    _ended: bool = False

    def observe(self, event_type: str) -> None:
        """Take the next event into account."""
        if event_type in JOB_EVENTS:
            self._ended = JOB_EVENTS[event_type]
            self._callback_pending = self.callback and event_type == COMPLETED_EVENT
        if CALLBACK_EVENTS.get(event_type, False):
            self._callback_pending = False
        self.over = self._ended and not self._callback_pending


@dataclass
class TimelineLines:
    """The lines of a timeline, made from batches of events as they arrive."""

    tz: tzinfo
    everything: bool
    first_failure: TimelineEvent | None = None
    last: TimelineEvent | None = None
    marked: bool = False

    def of(self, events: Sequence[TimelineEvent]) -> list[str]:
        """The lines for `events`, the next batch."""
        failures = (event for event in events if event.status == "failure")
        self.first_failure = self.first_failure or next(failures, None)
        shown = [event for event in events if self.everything or visible(event)]
        if not shown:
            return []
        # the last line is rendered again and dropped, so that a date appears if the day changes between two batches
        before = [] if self.last is None else [self.last]
        batch = Timeline(
            job_id="",
            short_id="",
            job_type="",
            events=[*before, *shown],
            first_failure=None if self.marked else self.first_failure,
        )
        lines = render_timeline(batch, tz=self.tz, show_all=self.everything).split("\n")
        lines = lines[HEADER_LINES + len(before) : -CLOSING_LINES]
        self.marked = self.marked or any(line.endswith(ERROR_HERE) for line in lines)
        self.last = shown[-1]
        return lines


async def follow(app: AsyncCoreMachine, job_id: str, *, everything: bool, tz: tzinfo | None, as_json: bool) -> None:
    """Print the timeline of a job until the job and its callback have ended. Raises UnknownJobError."""
    job = await load_job(app, job_id)
    zone = tz or local_zone()
    lines = TimelineLines(zone, everything)
    end = EndDetector(callback=job.has_callback)
    if not as_json:
        show_timeline("\n".join((await app.timeline(job.id, tz=zone)).split("\n")[:HEADER_LINES]))
    cursor = EventCursor()
    while True:
        rows, cursor = await app.events_after(job.id, cursor)
        events = [timeline_event(row) for row in rows]
        for event in events:
            end.observe(event.type)
        if as_json:
            _show_as_json([event for event in events if everything or visible(event)], zone)
        elif batch := lines.of(events):
            show_timeline("\n".join(batch))
        if rows:
            continue
        if end.over:
            break
        await cancellable_sleep(POLL_SECONDS)
    if not as_json:
        whole = await app.timeline(job.id, everything=everything, tz=zone)
        show_timeline("\n".join(whole.split("\n")[-CLOSING_LINES:]))


def _show_as_json(events: Sequence[TimelineEvent], zone: tzinfo) -> None:
    for event in events:
        show_json({**asdict(event), "at": event.at.astimezone(zone).isoformat()}, indent=None)

"""Following a job: its timeline, line by line as the events come."""

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
from .pause import pause
from .terminal import show_json, show_timeline

PAUSE = 0.25
HEADER_LINES = 2
CLOSING_LINES = 2


def _terminal_events(lifecycle: Lifecycle) -> dict[str, bool]:
    """Event types of the lifecycle, and whether each leads to a state in which nothing is waited for."""
    return {one.event.type: lifecycle.by_name[one.target].terminal for one in lifecycle.transitions}


JOB_ENDS = _terminal_events(JOB)
CALLBACK_ENDS = _terminal_events(CALLBACK)
COMPLETES = next(one.event.type for one in JOB.transitions if one.trigger == "complete")


@dataclass
class Ending:
    """Whether a job is over, told by its events alone: a row may be ahead of the events that a follower is given."""

    callback: bool
    over: bool = False
    _owed: bool = False
    _ended: bool = False

    def see(self, event_type: str) -> None:
        """Take note of the next event."""
        if event_type in JOB_ENDS:
            self._ended = JOB_ENDS[event_type]
            self._owed = self.callback and event_type == COMPLETES
        if CALLBACK_ENDS.get(event_type, False):
            self._owed = False
        self.over = self._ended and not self._owed


@dataclass
class Lines:
    """The lines of a timeline, from batches of events as they come."""

    tz: tzinfo
    everything: bool
    first_failure: TimelineEvent | None = None
    last: TimelineEvent | None = None
    marked: bool = False

    def of(self, events: Sequence[TimelineEvent]) -> list[str]:
        """What the timeline says of `events`, the next ones."""
        failures = (event for event in events if event.status == "failure")
        self.first_failure = self.first_failure or next(failures, None)
        shown = [event for event in events if self.everything or visible(event)]
        if not shown:
            return []
        # the last line is rendered again and dropped, so that a date stands where the day changes between two batches
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
    """Print the timeline of a job until the job has ended and no callback is owed. Raises UnknownJobError."""
    job = await app.job(job_id)
    full = job["job_id"]
    zone = tz or local_zone()
    lines = Lines(zone, everything)
    ending = Ending(callback=bool(job["definition"].get("on_job_complete")))
    if not as_json:
        show_timeline("\n".join((await app.timeline(full, tz=zone)).split("\n")[:HEADER_LINES]))
    mark = EventCursor()
    while True:
        rows, mark = await app.events_after(full, mark)
        events = [timeline_event(row) for row in rows]
        for event in events:
            ending.see(event.type)
        if as_json:
            _show_as_json([event for event in events if everything or visible(event)], zone)
        elif told := lines.of(events):
            show_timeline("\n".join(told))
        if rows:
            continue
        if ending.over:
            break
        await pause(PAUSE)
    if not as_json:
        whole = await app.timeline(full, everything=everything, tz=zone)
        show_timeline("\n".join(whole.split("\n")[-CLOSING_LINES:]))


def _show_as_json(events: Sequence[TimelineEvent], zone: tzinfo) -> None:
    for event in events:
        show_json({**asdict(event), "at": event.at.astimezone(zone).isoformat()}, indent=None)

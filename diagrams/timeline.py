"""The content of a timeline: a job's events, which of them are shown, and the summary of a stage with too many.

Events are in the order of their ids, in which the database recorded them: its clock may be set back.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..statemachine.lifecycles import HEADLINES

STAGE_LINES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """One row of the event log. `at` has a time zone; `stage` and `task_number` count from 1 within the job."""

    event_id: int
    type: str
    status: str
    at: datetime
    stage: int | None = None
    task_number: int | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)

    @property
    def order(self) -> int:
        """The place of the event in the job's history."""
        return self.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStageSummary:
    """The good task events of one long stage, counted instead of listed.

    `tasks` is the number of different tasks among them, `counts` the number of events by type. `first_event_id` and
    `first_at` are those of the first event, whose place the summary takes; `last_at` is that of the last.
    """

    stage: int
    tasks: int
    counts: Mapping[str, int] = field(hash=False)
    first_event_id: int
    first_at: datetime
    last_at: datetime

    @property
    def order(self) -> int:
        """The place of the summary in the job's history."""
        return self.first_event_id

    @property
    def at(self) -> datetime:
        """The time of the first event."""
        return self.first_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A job's history, ready to be printed.

    `events` may be all events, or those that `summarise` keeps, with the `summaries` of the rest: both give the same
    text. `last_successful` and `first_failure` are the results of the functions of these names on all events.
    """

    job_id: str
    short_id: str
    job_type: str
    events: Sequence[TimelineEvent]
    summaries: Sequence[TimelineStageSummary] = ()
    last_successful: TimelineEvent | None = None
    first_failure: TimelineEvent | None = None


def visible(event: TimelineEvent) -> bool:
    """Whether the default timeline shows `event`: it is a headline or a warning."""
    return event.type in HEADLINES or event.status == "warning"


def is_summarised(event: TimelineEvent) -> bool:
    """Whether a long stage counts `event` instead of listing it: a task event that is neither failure nor warning."""
    return event.task_number is not None and event.stage is not None and event.status not in {"failure", "warning"}


def first_failure(events: Iterable[TimelineEvent]) -> TimelineEvent | None:
    """The first event with status `failure`, or None."""
    return min((event for event in events if event.status == "failure"), key=lambda event: event.order, default=None)


def last_successful(events: Iterable[TimelineEvent]) -> TimelineEvent | None:
    """The last `success` before the job's first failure, within the failed stage if that has one.

    Without a failure, the last success; None if nothing has succeeded.
    """
    known = list(events)
    failure = first_failure(known)
    good = [event for event in known if event.status == "success" and (failure is None or event.order < failure.order)]
    near = [event for event in good if failure and failure.stage is not None and event.stage == failure.stage]
    return max(near or good, key=lambda event: event.order, default=None)


def summarise(
    events: Iterable[TimelineEvent],
    *,
    show_all: bool = False,
) -> tuple[tuple[TimelineEvent, ...], tuple[TimelineStageSummary, ...]]:
    """The events that are listed, in order, and a summary for each stage of more than 200 lines.

    Without `show_all`, events that are not `visible` neither appear nor count. Events that have already been summarised
    are returned unchanged.
    """
    shown = sorted((event for event in events if show_all or visible(event)), key=lambda event: event.order)
    lines = Counter(event.stage for event in shown if event.stage is not None)
    long = {stage for stage, number in lines.items() if number > STAGE_LINES}
    counted: defaultdict[int, list[TimelineEvent]] = defaultdict(list)
    listed: list[TimelineEvent] = []
    for event in shown:
        if event.stage is not None and event.stage in long and is_summarised(event):
            counted[event.stage].append(event)
        else:
            listed.append(event)
    return tuple(listed), tuple(_summary(stage, some) for stage, some in counted.items())


def _summary(stage: int, events: Sequence[TimelineEvent]) -> TimelineStageSummary:
    return TimelineStageSummary(
        stage=stage,
        tasks=len({event.task_number for event in events}),
        counts=Counter(event.type for event in events),
        first_event_id=events[0].event_id,
        first_at=events[0].at,
        last_at=events[-1].at,
    )

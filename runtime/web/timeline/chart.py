"""The layout of the timeline: a lane for the job, and a lane for each stage with its tasks as bars."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ....statemachine.lifecycles import JOB
from ...app import AsyncCoreMachine
from ...store.database import PATIENCE_SECONDS
from ..access.policy import Visitor
from ..api.rows import EventRow, JobPageRow, JobStageRow
from ..api.serializers import serialize_event
from .bars import Bar, Marker, TaskHistory
from .chart_data import PAGE_SIZE, ChartReader, ChartView, StageTasks
from .event_display import event_text
from .formatting import duration
from .histogram import BUCKETS, Bucket, build_histogram
from .labels import Label, place_labels
from .query_cache import StageQueryCache
from .rows import ChartTaskRow
from .time_scale import TimeScale, time_scale

MAX_JOB_MARKERS = 200
MAX_SPOKEN_BARS = 6
REASONS = {1: "failed", 2: "retried", 3: "running", 4: "slowest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRow:
    """A task in a lane. `reason` says why it was picked, if not all tasks are drawn."""

    number: int
    status: str
    label: str
    reason: str
    bars: Sequence[tuple[float, float, Bar]]
    markers: Sequence[tuple[float, Marker]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A stage: all its tasks, or a histogram and the notable ones. `next_row` is the first row of the next page."""

    stage: JobStageRow
    rows: Sequence[LaneRow]
    histogram: Sequence[Bucket]
    expanded: bool
    next_row: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The lanes on one time scale."""

    scale: TimeScale
    markers: Sequence[tuple[float, Marker]]
    labels: Sequence[Label]
    lanes: Sequence[Lane]
    live: bool


async def read_chart(
    machine: AsyncCoreMachine, cache: StageQueryCache, visitor: Visitor, job: JobPageRow, view: ChartView
) -> Chart:
    """Read the timeline of a job. Recent queries of big stages come from `cache`."""
    ended_at = job.finished_at if JOB.by_name[job.status].terminal else None
    scale = time_scale(job.created_at, ended_at or view.now, view.zoom)
    async with machine.database.session(PATIENCE_SECONDS) as session:
        parameters = {"job_id": job.job_id, "limit": MAX_JOB_MARKERS}
        rows = await session.fetch("web/job_lane", parameters)
        events = [EventRow.of({**row, "attempt": None, "lease_number": None}) for row in rows]
        reader = ChartReader(session, cache, scale, view)
        stages = [await reader.read(stage) for stage in job.stages]
    markers = _place_markers((_job_marker(event, visitor) for event in events), scale)
    return Chart(
        scale=scale,
        markers=markers,
        labels=place_labels([(position, marker.text.removeprefix(f"{JOB.name}_")) for position, marker in markers]),
        lanes=[_build_lane(stage, scale, view) for stage in stages],
        live=ended_at is None,
    )


def _job_marker(row: EventRow, visitor: Visitor) -> Marker:
    event = serialize_event(row, visitor)
    return Marker(at=event.at, status=event.status, text=event_text(event), event_id=event.event_id)


def _build_lane(data: StageTasks, scale: TimeScale, view: ChartView) -> Lane:
    expanded = view.open_stage == data.stage.stage and bool(data.counts)
    end = view.first_row + PAGE_SIZE
    return Lane(
        stage=data.stage,
        rows=[_build_row(task, data.histories[task.task_id], scale, view.now) for task in data.tasks],
        histogram=_build_buckets(data, scale, view.now),
        expanded=expanded,
        next_row=end if expanded and end < data.stage.tasks_total else None,
    )


def _build_buckets(data: StageTasks, scale: TimeScale, now: datetime) -> list[Bucket]:
    started_at = data.stage.started_at
    if not data.counts or started_at is None:
        return []
    first, current = (int(scale.position(at) / 100 * BUCKETS) + 1 for at in (started_at, now))
    return build_histogram(data.counts, data.stage.tasks_total, first, current)


def _build_row(task: ChartTaskRow, history: TaskHistory, scale: TimeScale, now: datetime) -> LaneRow:
    bars = [(scale.interval(bar.begin, bar.end or now), bar) for bar in history.bars]
    return LaneRow(
        number=task.task_number,
        status=task.status,
        label=_row_label(task, history.bars, now),
        reason=REASONS.get(task.why, ""),
        bars=[(*interval, bar) for interval, bar in bars if interval is not None],
        markers=_place_markers(history.markers, scale),
    )


def _place_markers(markers: Iterable[Marker], scale: TimeScale) -> list[tuple[float, Marker]]:
    """The markers within the scale, with their positions."""
    positions = ((scale.position(marker.at), marker) for marker in markers)
    return [(position, marker) for position, marker in positions if 0 <= position <= 100]  # noqa: PLR2004 - percent


def _row_label(task: ChartTaskRow, bars: Sequence[Bar], now: datetime) -> str:
    """A description of a row for screen readers."""
    attempt = f", attempt {task.attempt} of {task.max_attempts}" if task.max_attempts > 1 else ""
    verbs = {"queued": "waited", "running": "ran", "waiting": "waited for a retry"}
    spoken = [f"{verbs[bar.kind]} {duration((bar.end or now) - bar.begin)}" for bar in bars[:MAX_SPOKEN_BARS]]
    more = f", and {len(bars) - len(spoken)} more" if len(bars) > len(spoken) else ""
    error = f", {task.error_type}" if task.error_type else ""
    return f"task {task.task_number}: {task.status}{error}{attempt}; {', '.join(spoken)}{more}"

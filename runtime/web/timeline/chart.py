"""The timeline as a picture: a lane for the job, and one for each stage with its tasks as bars."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ....statemachine.lifecycles import JOB, TASK
from ...app import AsyncCoreMachine
from ...store.session import Row, Session
from ..access.policy import Visitor
from ..api.serializers import serialize_event
from .bars import TRANSITION_BY_EVENT, Bar, Marker, TaskHistory, needs_events, task_history
from .event_display import event_text
from .formatting import duration, pluralize
from .histogram import BUCKETS, Bucket, build_histogram
from .labels import Label, place_labels
from .query_cache import StageQueryCache
from .time_scale import TimeScale, time_scale

MAX_ROWS_WHOLE_STAGE = 40
PAGE_SIZE = 50
TASKS_PER_REASON = 6
MAX_JOB_MARKERS = 200
RETRY_EVENTS = [edge.event.type for edge in TASK.transitions if edge.trigger in {"retry", "rescue"}]
REASONS = {1: "failed", 2: "retried", 3: "running", 4: "slowest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task in a lane. `reason` says why it is drawn, where not all are."""

    number: int
    status: str
    label: str
    reason: str
    bars: Sequence[tuple[float, float, Bar]]
    markers: Sequence[tuple[float, Marker]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A stage: its tasks one by one, or its density and those that matter. `following` begins the next page."""

    stage: Row
    rows: Sequence[TaskRow]
    histogram: Sequence[Bucket]
    expanded: bool
    next_row: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All lanes on one scale."""

    scale: TimeScale
    markers: Sequence[tuple[float, Marker]]
    labels: Sequence[Label]
    lanes: Sequence[Lane]
    now: datetime
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOptions:
    """Which stretch of time is shown, and which stage is open, from which task on."""

    zoom: str | None = None
    open_stage: int | None = None
    rows: int = 0


async def read_chart(  # noqa: PLR0913, PLR0917 - what is drawn, for whom, and what is known already
    machine: AsyncCoreMachine, cache: StageQueryCache, visitor: Visitor, job: Row, now: datetime, options: ChartOptions
) -> Chart:
    """The timeline of a job, with its stages in `job["stages"]`, at the moment `now`.

    What is read of big stages is taken from `kept`, where it was read a short time ago.
    """
    live = not JOB.by_name[job["status"]].terminal
    scale = time_scale(job["created_at"], now if live else job["finished_at"], options.zoom)
    async with machine.database.session() as session:
        parameters = {"job_id": job["job_id"], "limit": MAX_JOB_MARKERS}
        events = [serialize_event(row, visitor) for row in await session.fetch("web/job_lane", parameters)]
        drawn_tasks = [await _read_tasks(session, cache, stage, scale, options) for stage in job["stages"]]
        histories: dict[str, TaskHistory] = {}
        for stage, (rows, _) in zip(job["stages"], drawn_tasks, strict=True):
            histories |= await _read_histories(session, cache, stage, rows)
    markers = [Marker(at=one.at, status=one.status, text=event_text(one), event_id=one.event_id) for one in events]
    placed_markers = _place_markers(markers, scale)
    return Chart(
        scale=scale,
        markers=placed_markers,
        labels=place_labels(
            [(position, marker.text.removeprefix(f"{JOB.name}_")) for position, marker in placed_markers]
        ),
        lanes=[
            _build_lane(stage, rows, histories, scale, now, counts, options)
            for stage, (rows, counts) in zip(job["stages"], drawn_tasks, strict=True)
        ],
        now=now,
        live=live,
    )


async def _read_tasks(
    session: Session, cache: StageQueryCache, stage: Row, scale: TimeScale, options: ChartOptions
) -> tuple[list[Row], list[Row]]:
    """The tasks of a stage that are drawn, and for a big one how many started and ended when."""
    parameters: dict[str, object] = {"stage_id": stage["stage_id"]}
    if stage["tasks_total"] == 0:
        return [], []
    if stage["tasks_total"] <= MAX_ROWS_WHOLE_STAGE:
        return await session.fetch("web/chart_rows", {**parameters, "after": -1, "limit": MAX_ROWS_WHOLE_STAGE}), []
    slices = {
        "first": scale.first.timestamp(),
        "last": scale.last.timestamp(),
        "slices": BUCKETS,
        "types": list(TRANSITION_BY_EVENT),
    }
    counts = await cache.fetch(session, "web/chart_density", stage, {**parameters, **slices})
    if options.open_stage == stage["stage"]:
        return await session.fetch(
            "web/chart_rows", {**parameters, "after": options.rows - 1, "limit": PAGE_SIZE}
        ), counts
    return await cache.fetch(
        session,
        "web/chart_picked",
        stage,
        {**parameters, "job_id": stage["job_id"], "again": RETRY_EVENTS, "most": TASKS_PER_REASON},
    ), counts


async def _read_histories(
    session: Session, cache: StageQueryCache, stage: Row, tasks: Sequence[Row]
) -> dict[str, TaskHistory]:
    """The life of each drawn task; events are read for those alone whose row does not tell it all."""
    known: defaultdict[str, list[Row]] = defaultdict(list)
    wanted = [task["task_id"] for task in tasks if needs_events(task)]
    if wanted:
        parameters = {"task_ids": wanted}
        for event in await cache.fetch(session, "web/chart_events", stage, parameters):
            known[event["task_id"]].append(event)
    return {task["task_id"]: task_history(task, known[task["task_id"]]) for task in tasks}


def _build_lane(  # noqa: PLR0913, PLR0917 - what a lane is made of
    stage: Row,
    rows: Sequence[Row],
    histories: dict[str, TaskHistory],
    scale: TimeScale,
    now: datetime,
    counts: Sequence[Row],
    options: ChartOptions,
) -> Lane:
    expanded = options.open_stage == stage["stage"] and bool(counts)
    end = options.rows + PAGE_SIZE
    return Lane(
        stage=stage,
        rows=[_build_row(task, histories[task["task_id"]], scale, now) for task in rows],
        histogram=_build_histogram(stage, counts, scale, now),
        expanded=expanded,
        next_row=end if expanded and end < stage["tasks_total"] else None,
    )


def _build_histogram(stage: Row, counts: Sequence[Row], scale: TimeScale, now: datetime) -> list[Bucket]:
    if not counts or stage["started_at"] is None:
        return []
    first, current = (int(scale.position(at) / 100 * BUCKETS) + 1 for at in (stage["started_at"], now))
    return build_histogram(counts, stage["tasks_total"], first, current)


def _build_row(task: Row, history: TaskHistory, scale: TimeScale, now: datetime) -> TaskRow:
    bars = [(scale.interval(bar.begin, bar.end or now), bar) for bar in history.bars]
    return TaskRow(
        number=task["task_number"],
        status=task["status"],
        label=_row_label(task, history.bars, now),
        reason=REASONS.get(task.get("why", 0), ""),
        bars=[(*position, bar) for position, bar in bars if position is not None],
        markers=_place_markers(history.markers, scale),
    )


def _place_markers(markers: Iterable[Marker], scale: TimeScale) -> list[tuple[float, Marker]]:
    """The markers within the scale, with their positions."""
    positions = ((scale.position(marker.at), marker) for marker in markers)
    return [(position, marker) for position, marker in positions if 0 <= position <= 100]  # noqa: PLR2004 - percent


def _row_label(task: Row, bars: Iterable[Bar], now: datetime) -> str:
    """What a row says to somebody who does not see it."""
    attempt = f", attempt {task['attempt']} of {task['max_attempts']}" if task["max_attempts"] > 1 else ""
    lengths = {"queued": "waited", "running": "ran", "waiting": "waited for a retry"}
    parts = [f"{lengths[bar.kind]} {duration((bar.end or now) - bar.begin)}" for bar in bars]
    more = f", and {pluralize(len(parts) - 6, 'stretch')}" if len(parts) > 6 else ""  # noqa: PLR2004 - more nobody listens to
    error = f", {task['error_type']}" if task["error_type"] else ""
    return f"task {task['task_number']}: {task['status']}{error}{attempt}; {', '.join(parts[:6])}{more}"

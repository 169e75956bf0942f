"""The timeline as a picture: a lane for the job, and one for each stage with its tasks as bars."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ....statemachine.lifecycles import JOB, TASK
from ...app import AsyncCoreMachine
from ...store.session import Row, Session
from ..access.policy import Visitor
from ..api.serializers import event_of
from .bars import EDGES, Bar, Life, Mark, has_history, life_of
from .event_display import event_words
from .formatting import counted, span
from .histogram import SLICES, Slice, slices_of
from .labels import Label, labels_of
from .query_cache import StageReadings
from .time_scale import Scale, scale_of

WHOLE = 40
PAGE = 50
PICKED = 6
JOB_MARKS = 200
AGAIN_EVENTS = [edge.event.type for edge in TASK.transitions if edge.trigger in {"retry", "rescue"}]
REASONS = {1: "failed", 2: "retried", 3: "running", 4: "slowest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task in a lane. `reason` says why it is drawn, where not all are."""

    number: int
    status: str
    words: str
    reason: str
    bars: Sequence[tuple[float, float, Bar]]
    marks: Sequence[tuple[float, Mark]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A stage: its tasks one by one, or its density and those that matter. `following` begins the next page."""

    stage: Row
    rows: Sequence[TaskRow]
    density: Sequence[Slice]
    opened: bool
    following: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All lanes on one scale."""

    scale: Scale
    marks: Sequence[tuple[float, Mark]]
    labels: Sequence[Label]
    lanes: Sequence[Lane]
    now: datetime
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartAsked:
    """Which stretch of time is shown, and which stage is open, from which task on."""

    zoom: str | None = None
    opened: int | None = None
    rows: int = 0


async def read_chart(  # noqa: PLR0913, PLR0917 - what is drawn, for whom, and what is known already
    machine: AsyncCoreMachine, kept: StageReadings, visitor: Visitor, job: Row, now: datetime, asked: ChartAsked
) -> Chart:
    """The timeline of a job, with its stages in `job["stages"]`, at the moment `now`.

    What is read of big stages is taken from `kept`, where it was read a short time ago.
    """
    live = not JOB.by_name[job["status"]].terminal
    scale = scale_of(job["created_at"], now if live else job["finished_at"], asked.zoom)
    async with machine.database.session() as session:
        where = {"job_id": job["job_id"], "limit": JOB_MARKS}
        told = [event_of(row, visitor) for row in await session.fetch("web/job_lane", where)]
        drawn = [await _drawn(session, kept, stage, scale, asked) for stage in job["stages"]]
        lives: dict[str, Life] = {}
        for stage, (rows, _) in zip(job["stages"], drawn, strict=True):
            lives |= await _lives(session, kept, stage, rows)
    marks = [Mark(at=one.at, status=one.status, words=event_words(one), event_id=one.event_id) for one in told]
    placed = [(scale.place(mark.at), mark) for mark in marks if 0 <= scale.place(mark.at) <= 100]  # noqa: PLR2004 - percent
    return Chart(
        scale=scale,
        marks=placed,
        labels=labels_of([(place, mark.words.removeprefix(f"{JOB.name}_")) for place, mark in placed]),
        lanes=[
            _lane(stage, rows, lives, scale, now, counts, asked)
            for stage, (rows, counts) in zip(job["stages"], drawn, strict=True)
        ],
        now=now,
        live=live,
    )


async def _drawn(
    session: Session, kept: StageReadings, stage: Row, scale: Scale, asked: ChartAsked
) -> tuple[list[Row], list[Row]]:
    """The tasks of a stage that are drawn, and for a big one how many started and ended when."""
    where: dict[str, object] = {"stage_id": stage["stage_id"]}
    if stage["tasks_total"] == 0:
        return [], []
    if stage["tasks_total"] <= WHOLE:
        return await session.fetch("web/chart_rows", {**where, "after": -1, "limit": WHOLE}), []
    slices = {"first": scale.first.timestamp(), "last": scale.last.timestamp(), "slices": SLICES, "types": list(EDGES)}
    counts = await kept.read(session, "web/chart_density", stage, {**where, **slices})
    if asked.opened == stage["stage"]:
        return await session.fetch("web/chart_rows", {**where, "after": asked.rows - 1, "limit": PAGE}), counts
    return await kept.read(
        session, "web/chart_picked", stage, {**where, "job_id": stage["job_id"], "again": AGAIN_EVENTS, "most": PICKED}
    ), counts


async def _lives(session: Session, kept: StageReadings, stage: Row, tasks: Sequence[Row]) -> dict[str, Life]:
    """The life of each drawn task; events are read for those alone whose row does not tell it all."""
    known: defaultdict[str, list[Row]] = defaultdict(list)
    wanted = [task["task_id"] for task in tasks if has_history(task)]
    if wanted:
        where = {"task_ids": wanted}
        for event in await kept.read(session, "web/chart_events", stage, where):
            known[event["task_id"]].append(event)
    return {task["task_id"]: life_of(task, known[task["task_id"]]) for task in tasks}


def _lane(  # noqa: PLR0913, PLR0917 - what a lane is made of
    stage: Row,
    rows: Sequence[Row],
    lives: dict[str, Life],
    scale: Scale,
    now: datetime,
    counts: Sequence[Row],
    asked: ChartAsked,
) -> Lane:
    opened = asked.opened == stage["stage"] and bool(counts)
    end = asked.rows + PAGE
    return Lane(
        stage=stage,
        rows=[_row(task, lives[task["task_id"]], scale, now) for task in rows],
        density=_density(stage, counts, scale, now),
        opened=opened,
        following=end if opened and end < stage["tasks_total"] else None,
    )


def _density(stage: Row, counts: Sequence[Row], scale: Scale, now: datetime) -> list[Slice]:
    if not counts or stage["started_at"] is None:
        return []
    opened, current = (int(scale.place(at) / 100 * SLICES) + 1 for at in (stage["started_at"], now))
    return slices_of(counts, stage["tasks_total"], opened, current)


def _row(task: Row, life: Life, scale: Scale, now: datetime) -> TaskRow:
    bars = [(scale.span(bar.begin, bar.end or now), bar) for bar in life.bars]
    return TaskRow(
        number=task["task_number"],
        status=task["status"],
        words=_words(task, life.bars, now),
        reason=REASONS.get(task.get("why", 0), ""),
        bars=[(*place, bar) for place, bar in bars if place is not None],
        marks=[(scale.place(mark.at), mark) for mark in life.marks if 0 <= scale.place(mark.at) <= 100],  # noqa: PLR2004 - percent
    )


def _words(task: Row, bars: Iterable[Bar], now: datetime) -> str:
    """What a row says to somebody who does not see it."""
    attempt = f", attempt {task['attempt']} of {task['max_attempts']}" if task["max_attempts"] > 1 else ""
    lengths = {"queued": "waited", "running": "ran", "waiting": "waited for a retry"}
    told = [f"{lengths[bar.kind]} {span((bar.end or now) - bar.begin)}" for bar in bars]
    more = f", and {counted(len(told) - 6, 'stretch')}" if len(told) > 6 else ""  # noqa: PLR2004 - more nobody listens to
    error = f", {task['error_type']}" if task["error_type"] else ""
    return f"task {task['task_number']}: {task['status']}{error}{attempt}; {', '.join(told[:6])}{more}"

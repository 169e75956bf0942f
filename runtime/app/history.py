"""The history of a job, read from its events: the timeline, and events as they are written."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby

from ...diagrams.timeline import STAGE_LINES, Timeline, TimelineEvent, TimelineStageSummary
from ...statemachine.lifecycles import HEADLINES, TASK
from ..store.session import Row, Session

SHORTEST = 6
CLAIMED = next(edge.event.type for edge in TASK.transitions if TASK.by_name[edge.target].leased)


@dataclass(frozen=True, slots=True)
class EventCursor:
    """The position of a follower: the transaction and the id of the last event it received."""

    transaction_id: int = 0
    event_id: int = 0


async def read_timeline(session: Session, job_id: str, *, everything: bool = False) -> Timeline:
    """The timeline of a job. A stage of more than 200 lines is summed up in the database, never loaded."""
    known = {"job_id": job_id, "headlines": list(HEADLINES), "everything": everything, "claimed": CLAIMED}
    (job,) = await session.fetch("flow/load_job", {"job_id": job_id})
    counted = await session.fetch("history/timeline_counts", known)
    lines: Counter[int] = Counter()
    for row in counted:
        lines[row["stage"]] += row["events"]
    long = {stage for stage, number in lines.items() if number > STAGE_LINES}
    summed = [row for row in counted if row["stage"] in long and row["uneventful"]]
    stages = await session.fetch("flow/load_stages", {"job_id": job_id})
    events = await read_lines(session, job_id, stages, long, everything=everything)
    success, failure = await read_ends(session, job_id)
    return Timeline(
        job_id=job_id,
        short_id=await shortest_id(session, job_id),
        job_type=job["job_type"],
        events=[timeline_event(row) for row in events],
        summaries=[_summary(stage, list(rows)) for stage, rows in groupby(summed, key=lambda row: row["stage"])],
        last_successful=success,
        first_failure=failure,
    )


async def read_lines(  # noqa: PLR0913 - each selects a part of the history
    session: Session,
    job_id: str,
    stages: Sequence[Row],
    long: Collection[int],
    *,
    everything: bool = False,
    after: int = 0,
    limit: int | None = None,
) -> list[Row]:
    """The events that a timeline lists one by one, in order: of the `long` stages only failures and warnings."""
    given = {
        "job_id": job_id,
        "everything": everything,
        "headlines": list(HEADLINES),
        "short_stages": [row["stage"] for row in stages if row["stage"] not in long],
        "open_stages": [row["stage"] for row in stages if row["finished_at"] is None],
        "after": after,
        "limit": limit,
    }
    return await session.fetch("history/timeline_events", given)


async def read_ends(session: Session, job_id: str) -> tuple[TimelineEvent | None, TimelineEvent | None]:
    """The last successful event of a job, and its first failure; None if there is none."""
    failures = [timeline_event(row) for row in await session.fetch("history/first_failure_event", {"job_id": job_id})]
    failure = failures[0] if failures else None
    before = {"failure": failure and failure.event_id, "failed_stage": failure and failure.stage}
    successes = await session.fetch("history/last_successful_event", {"job_id": job_id, **before})
    return timeline_event(successes[0]) if successes else None, failure


def timeline_event(row: Row) -> TimelineEvent:
    """A row of the event log as the timeline sees it."""
    return TimelineEvent(
        event_id=row["event_id"],
        type=row["event_type"],
        status=row["event_status"],
        at=row["created_at"],
        stage=row["stage"],
        task_number=row["task_number"],
        data=row["event_data"],
    )


async def shortest_id(session: Session, job_id: str) -> str:
    """The shortest prefix of `job_id`, of at least 6 characters, that no other job's id has."""
    (row,) = await session.fetch("history/shortest_prefix", {"job_id": job_id})
    shared = max(_shared(job_id, row[side] or "") for side in ("before", "after"))
    return job_id[: max(SHORTEST, shared + 1)]


async def read_events_after(
    session: Session, job_id: str, mark: EventCursor, limit: int = 1000
) -> tuple[list[Row], EventCursor]:
    """Events that a follower at `mark` has not received, and its new mark. With each new mark a reader misses none.

    An event is returned only when every older transaction has ended, so a transaction that stays open delays
    followers but never makes them skip an event.
    """
    where = {"job_id": job_id, "transaction_id": str(mark.transaction_id), "event_id": mark.event_id, "limit": limit}
    rows = await session.fetch("history/events_after", where)
    if not rows:
        return [], mark
    return rows, EventCursor(int(rows[-1]["transaction_id"]), rows[-1]["event_id"])


def timeline_json(timeline: Timeline, tz: tzinfo) -> dict[str, object]:
    """A timeline as JSON values, times as ISO 8601 in `tz`."""

    def event_json(event: TimelineEvent | None) -> dict[str, object] | None:
        if event is None:
            return None
        return {
            "event_id": event.event_id,
            "type": event.type,
            "status": event.status,
            "at": event.at.astimezone(tz).isoformat(),
            "stage": event.stage,
            "task_number": event.task_number,
            "data": dict(event.data),
        }

    return {
        "job_id": timeline.job_id,
        "job_type": timeline.job_type,
        "events": [event_json(event) for event in timeline.events],
        "summaries": [
            {
                "stage": summary.stage,
                "tasks": summary.tasks,
                "counts": dict(summary.counts),
                "first_at": summary.first_at.astimezone(tz).isoformat(),
                "last_at": summary.last_at.astimezone(tz).isoformat(),
            }
            for summary in timeline.summaries
        ],
        "last_successful": event_json(timeline.last_successful),
        "first_failure": event_json(timeline.first_failure),
    }


def _summary(stage: int, rows: list[Row]) -> TimelineStageSummary:
    return TimelineStageSummary(
        stage=stage,
        tasks=max(row["tasks"] for row in rows),
        counts={row["event_type"]: row["events"] for row in rows},
        first_event_id=min(row["first_event_id"] for row in rows),
        first_at=min(row["first_at"] for row in rows),
        last_at=max(row["last_at"] for row in rows),
    )


def _shared(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

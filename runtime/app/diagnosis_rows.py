"""The facts about a job at one moment, from which `why` decides."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...diagrams.timeline import TimelineEvent
from ...statemachine.lifecycles import JOB
from ..settings import Settings
from ..store.database import PATIENCE_SECONDS, Database
from ..store.rows import StageRow
from ..store.session import Row, Session
from .audit import alive_within
from .history import read_ends, shortest_id, timeline_event

ENDS = sorted({edge.event.type for edge in JOB.transitions if JOB.by_name[edge.target].terminal})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTasks:
    """Tasks of the open stage that one worker holds. `expired` tasks wait to be rescued.

    `task_number` is that of the first, `lease_numbers` are of the first five, and the times are the earliest.
    """

    lease_owner: str
    expired: bool
    tasks: int
    task_number: int
    lease_numbers: Sequence[int]
    lease_expires_at: datetime
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTasks:
    """Queued tasks of the open stage: those that are `due`, those `sent` to a broker, or those due later.

    Number, attempts and time are those of the task that is due first. `moving`: some worker runs tasks of this type.
    """

    due: bool
    sent: bool
    tasks: int
    due_at: datetime
    task_number: int
    attempt: int
    max_attempts: int
    moving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedCallback:
    """A callback of the job, with its current state."""

    name: str
    status: str
    attempt: int
    max_attempts: int
    lease_owner: str | None
    lease_number: int
    lease_expires_at: datetime | None
    due_at: datetime | None
    send_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An item of the job that workers failed to handle `times` times in a row, and try again at `until`."""

    step: str
    item: str
    times: int
    until: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingLoop:
    """A loop of a running worker that fails or is stuck; `what` says which and why."""

    worker: str
    loop: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A job and everything that it may wait for, at the time `now` of the database's clock.

    `alive` counts workers with a recent heartbeat, no stuck loop and no expired lease on this job; each reconciles
    every `reconcile` seconds. A row that waits for more than `alive_within` seconds is stalled if no worker is alive. A
    task that was asked to stop may run for `stop_grace` seconds more.
    """

    now: datetime
    job: Row
    short_id: str
    open_stage: StageRow | None
    running: Sequence[RunningTasks]
    queued: Sequence[QueuedTasks]
    callbacks: Sequence[OwedCallback]
    set_aside: Sequence[SetAside]
    failing_loops: Sequence[FailingLoop]
    last_successful: TimelineEvent | None
    first_failure: TimelineEvent | None
    ended: TimelineEvent | None
    alive: int
    last_seen: datetime | None
    alive_within: float
    reconcile: float
    stop_grace: float


async def read_facts(database: Database, settings: Settings, job_id: str) -> Facts:
    """Read all facts of one job in one snapshot, without a lock."""
    async with database.snapshot(PATIENCE_SECONDS) as session:
        alive = {"beat_within": beat_within(settings)}
        (workers,) = await session.fetch("why/workers", alive)
        (job,) = await session.fetch("flow/load_job", {"job_id": job_id})
        stages = [StageRow.of(row) for row in await session.fetch("flow/load_stages", {"job_id": job_id})]
        opened = next((stage for stage in stages if stage.status == "processing"), None)
        success, failure = await read_ends(session, job_id)
        running = [RunningTasks(**row) for row in await _of_stage(session, "why/running", opened)]
        callbacks = [OwedCallback(**row) for row in await session.fetch("why/callbacks", {"job_id": job_id})]
        return Facts(
            now=workers["now"],
            job=job,
            short_id=await shortest_id(session, job_id),
            open_stage=opened,
            running=running,
            queued=[QueuedTasks(**row) for row in await _of_stage(session, "why/queued", opened)],
            callbacks=callbacks,
            set_aside=[SetAside(**row) for row in await session.fetch("why/set_aside", {"job_id": job_id})],
            failing_loops=[FailingLoop(**row) for row in await session.fetch("why/failing_loops", alive)],
            last_successful=success,
            first_failure=failure,
            ended=await _end(session, job),
            alive=_alive(workers, _leases(job, running, callbacks)),
            last_seen=workers["last_seen"],
            alive_within=alive_within(settings),
            reconcile=settings.reconcile,
            stop_grace=settings.stop_grace,
        )


def beat_within(settings: Settings) -> float:
    """Seconds within which a live worker writes a heartbeat: after each reconciler run, or a lease after an outage."""
    return 1.5 * settings.reconcile + settings.lease


def _leases(
    job: Row, running: Sequence[RunningTasks], callbacks: Sequence[OwedCallback]
) -> Iterator[tuple[str, datetime]]:
    """The workers that hold rows of the job, and until when."""
    holding: list[RunningTasks | OwedCallback] = [*running, *callbacks]
    for held in holding:
        if held.lease_owner is not None and held.lease_expires_at is not None:
            yield held.lease_owner, held.lease_expires_at
    if job["lease_owner"] is not None and job["due_at"] is not None:
        yield job["lease_owner"], job["lease_expires_at"]


def _alive(workers: Row, leases: Iterable[tuple[str, datetime]]) -> int:
    """The number of live workers: a recent heartbeat, no stuck loop, and no lease that has expired since."""
    seen: dict[str, datetime] = dict(zip(workers["workers"], workers["seen"], strict=True))
    gone = {owner for owner, until in leases if until <= workers["now"] and owner in seen and seen[owner] <= until}
    return len(seen) - len(gone)


async def _end(session: Session, job: Row) -> TimelineEvent | None:
    if not JOB.by_name[job["status"]].terminal:
        return None
    rows = await session.fetch("why/end", {"job_id": job["job_id"], "types": ENDS})
    return timeline_event(rows[0]) if rows else None


async def _of_stage(session: Session, name: str, stage: StageRow | None) -> list[Row]:
    if stage is None:
        return []
    return await session.fetch(name, {"stage_id": stage.stage_id, "task_type": stage.task_type})

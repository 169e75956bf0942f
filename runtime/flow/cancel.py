"""cancel: what has not started never will; what runs is asked to stop; the rest follows when it has."""

from ...statemachine.lifecycles import JOB, STAGE
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS, STAGES
from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import StageRow
from ..store.session import Row, Session
from .advance import CANCEL, close_stage, count_only, stop_siblings


async def cancel(database: Database, bus: Bus, job_id: str, reason: str, *, by: str | None = None) -> str:
    """Cancel a job and return the state it is in then: `processing` as long as running tasks have not ended.

    Asking twice changes nothing. `by` is who asked; an event says so. Raises IllegalMoveError for a job that has ended.
    """
    async with database.transaction() as session:
        (job,) = await session.fetch("lock_jobs", {"job_ids": [job_id]})
        stages = [StageRow.of(row) for row in await session.fetch("load_stages", {"job_id": job_id})]
        running = [stage.stage_id for stage in stages if stage.status == "processing"]
        if running:
            (row,) = await session.fetch("lock_stages", {"stage_ids": running})
            return await _cancel_open(session, bus, job, StageRow.of(row), reason, by)
        return await _cancel_between(session, job, reason, by)


async def _cancel_open(  # noqa: PLR0913, PLR0917 - who asked, and why, beside what is cancelled
    session: Session, bus: Bus, job: Row, stage: StageRow, reason: str, by: str | None
) -> str:
    if stage.stop_reason == CANCEL:
        return str(job["status"])
    await stop_siblings(session, stage, CANCEL, reason, by)
    if stage.still_open:
        await count_only(session, stage)
        return str(job["status"])
    await close_stage(session, bus, job, stage)
    return "cancelled"


async def _cancel_between(session: Session, job: Row, reason: str, by: str | None) -> str:
    """No stage is open: nothing runs, so the job ends at once."""
    move = machine_of(JOB).fire(
        Subject(job["job_id"], job["status"]), "cancel", data={"reason": reason, **({"by": by} if by else {})}
    )
    skip = machine_of(STAGE).fire(Subject("*", "pending"), "skip", data={"reason": "the job was cancelled"})
    await session.sweep(STAGES, skip, "job_id", job["job_id"])
    await session.must_apply(JOBS, move)
    return move.target

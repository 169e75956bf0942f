"""cancel: what has not started never will; what runs is asked to stop; the rest follows when it has."""

from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import StageRow
from ..store.session import Row, Session
from ..store.text import cleaned
from .advance import CANCEL, end_job
from .stop import Stop, lock_job, stop_stage


async def cancel(database: Database, bus: Bus, job_id: str, reason: str) -> str:
    """Cancel a job and return the state it is in then: `processing` as long as running tasks have not ended.

    Asking twice changes nothing. Raises IllegalMoveError for a job that has ended.
    """
    reason = cleaned(reason)
    async with database.transaction() as session:
        job, stage = await lock_job(session, job_id)
        if stage is None:
            return await _cancel_between(session, job, reason)
        return await _cancel_open(session, bus, job, stage, reason)


async def _cancel_open(session: Session, bus: Bus, job: Row, stage: StageRow, reason: str) -> str:
    if stage.stop_reason == CANCEL:
        return str(job["status"])
    closed = await stop_stage(session, bus, job, stage, Stop(CANCEL, reason))
    return "cancelled" if closed else str(job["status"])


async def _cancel_between(session: Session, job: Row, reason: str) -> str:
    """No stage is open: nothing runs, so the job ends at once."""
    return await end_job(session, job, "the job was cancelled", None, {"reason": reason})

"""cancel: tasks that have not started never will; running tasks are asked to stop; the job ends when they have."""

from ..bus.port import Bus
from ..store.database import PATIENCE_SECONDS, Database
from ..store.rows import JobRow, StageRow
from ..store.session import Session
from ..store.text import cleaned
from .advance import CANCEL, end_job
from .stop import Stop, lock_job, stop_stage


async def cancel(database: Database, bus: Bus, job_id: str, reason: str, *, by: str | None = None) -> str:
    """Cancel a job and return its new state: `processing` while running tasks have not ended.

    A second request changes nothing. `by` is who requested it, and is recorded in an event. Raises IllegalMoveError for
    a job that has ended, DatabaseUnreachableError, and LockTimeoutError if others hold a lock on the job for
    PATIENCE_SECONDS: then nothing has changed.
    """
    reason = cleaned(reason)

    async def write(session: Session) -> str:
        job, stage = await lock_job(session, job_id)
        if stage is None:
            return await _cancel_between(session, job, reason, by)
        return await _cancel_open(session, bus, job, stage, Stop(CANCEL, reason, by))

    return await database.commit_once(write, PATIENCE_SECONDS)


async def _cancel_open(session: Session, bus: Bus, job: JobRow, stage: StageRow, stop: Stop) -> str:
    if stage.stop_reason == CANCEL:
        return job.status
    closed = await stop_stage(session, bus, job, stage, stop)
    return "cancelled" if closed else job.status


async def _cancel_between(session: Session, job: JobRow, reason: str, by: str | None) -> str:
    """End a job with no open stage at once, because nothing runs."""
    data = {"reason": reason, **({"by": by} if by else {})}
    return await end_job(session, job, "the job was cancelled", None, data)

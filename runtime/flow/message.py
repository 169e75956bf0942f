"""The job message: whose it is, that it has been handled, and that the job is under way."""

from ...statemachine.lifecycles import JOB
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS
from ..errors import StaleMessageError
from ..store.rows import JobMessage
from ..store.session import Row, Session


async def acknowledge(session: Session, message: JobMessage, tasks: int = 0) -> bool:
    """The message has been handled, and led to this many new tasks; returns whether it has.

    Where a later message has taken its place, nothing changes.
    """
    given = {"job_id": message.job_id, "lease_number": message.lease_number, "tasks": tasks}
    return bool(await session.fetch("ack_job_message", given))


async def own_message(session: Session, message: JobMessage, owner: str) -> Row:
    """The job's row, locked, with the message still ours. Raises StaleMessageError where it is not."""
    (row,) = await session.fetch("lock_jobs", {"job_ids": [message.job_id]})
    if row["lease_number"] != message.lease_number or row["lease_owner"] != owner:
        raise StaleMessageError(message.job_id)
    return row


async def start_job(session: Session, job: Row) -> Row:
    """The job's row, processing: started here where it was still queued."""
    if job["status"] != JOB.initial.name:
        return job
    move = machine_of(JOB).fire(Subject(job["job_id"], job["status"]), "start")
    await session.must_apply(JOBS, move)
    return {**job, "status": move.target}

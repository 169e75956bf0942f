"""The job message: checks its lease, acknowledges it, and starts the job."""

from dataclasses import replace

from ...sql_generator.queues import acknowledge_statement
from ...statemachine.errors import LostRaceError
from ...statemachine.lifecycles import JOB
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS
from ..errors import StaleMessageError
from ..store.rows import JobMessage, JobRow
from ..store.session import Cursor, Session

START = JOB.trigger("start")


async def acknowledge(session: Session, message: JobMessage) -> Cursor:
    """Acknowledge the message. If a later one has replaced it, nothing changes, and the result has no row."""
    given = {"key": message.job_id, "lease_number": message.lease_number}
    return await session.send_statement(acknowledge_statement(JOBS, session.schema), given)


async def handled(session: Session, message: JobMessage, job: JobRow) -> JobRow:
    """Acknowledge the message under the job's lock. Returns the job's row, started."""
    if job.status == JOB.initial.name:
        return await start_job(session, job)
    lost = LostRaceError("job", "acknowledge", [message.job_id])
    await session.expect_rows(await acknowledge(session, message), lost)
    return job


async def own_message(session: Session, message: JobMessage, owner: str) -> JobRow:
    """Lock the job's row while the message is still ours. Raises StaleMessageError if it is not."""
    return await still_ours(await ask_for_job(session, message), message, owner)


async def ask_for_job(session: Session, message: JobMessage) -> Cursor:
    """Send the statement that reads and locks the job's row."""
    return await session.send("flow/lock_jobs", {"job_ids": [message.job_id]})


async def still_ours(asked: Cursor, message: JobMessage, owner: str) -> JobRow:
    """The row that was read. Raises StaleMessageError if its message is not ours."""
    (row,) = await asked.fetchall()
    job = JobRow.of(row)
    if job.lease_number != message.lease_number or job.lease_owner != owner:
        raise StaleMessageError(message.job_id)
    return job


async def start_job(session: Session, job: JobRow) -> JobRow:
    """Start a queued job, which acknowledges its message too. Returns its row, processing."""
    move = machine_of(JOB).fire(Subject(job.job_id, job.status), START)
    await session.must_apply(JOBS, move)
    return replace(job, status=move.target)

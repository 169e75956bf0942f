"""The job message: whose it is, that it has been handled, and that the job is under way."""

from collections.abc import Mapping

from ...statemachine.errors import LostRaceError
from ...statemachine.lifecycles import JOB
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS
from ..errors import StaleMessageError
from ..store.rows import JobMessage
from ..store.session import Answer, Row, Session


async def acknowledge(session: Session, message: JobMessage) -> None:
    """The message has been handled. Where a later one has taken its place, nothing changes."""
    await session.run("flow/acknowledge_job_message", _acknowledged(message))


async def handled(session: Session, message: JobMessage, job: Row) -> Row:
    """The message has been handled under the job's lock. Returns the job's row, started."""
    if job["status"] == JOB.initial.name:
        return await start_job(session, job)
    await session.expect(
        "flow/acknowledge_job_message", _acknowledged(message), LostRaceError("job", "acknowledge", [message.job_id])
    )
    return job


def _acknowledged(message: JobMessage) -> Mapping[str, object]:
    return {"job_id": message.job_id, "lease_number": message.lease_number}


async def own_message(session: Session, message: JobMessage, owner: str) -> Row:
    """The job's row, locked, with the message still ours. Raises StaleMessageError where it is not."""
    return await still_ours(await ask_for_job(session, message), message, owner)


async def ask_for_job(session: Session, message: JobMessage) -> Answer:
    """Ask for the job's row and its lock."""
    return await session.ask("flow/lock_jobs", {"job_ids": [message.job_id]})


async def still_ours(asked: Answer, message: JobMessage, owner: str) -> Row:
    """The row that was asked for. Raises StaleMessageError where its message is not ours."""
    (row,) = await asked.rows()
    if row["lease_number"] != message.lease_number or row["lease_owner"] != owner:
        raise StaleMessageError(message.job_id)
    return row


async def start_job(session: Session, job: Row) -> Row:
    """Start a queued job, whose message that acknowledges. Returns its row, processing."""
    move = machine_of(JOB).fire(Subject(job["job_id"], job["status"]), "start")
    await session.must_apply(JOBS, move)
    return {**job, "status": move.target}

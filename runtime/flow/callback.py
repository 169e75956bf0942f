"""run_callback: runs after a job has completed. Its outcome never changes the job's state."""

import asyncio
from collections.abc import Mapping

import psycopg

from ...statemachine.job import Job
from ...statemachine.lifecycles import CALLBACK, CALLBACK_EXECUTED
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import CALLBACKS
from ..bus.port import Announcement
from ..logs import logger
from ..store.reports import in_a_line, short
from ..store.rows import ClaimedCallback, JobRow
from ..store.session import Note, Row, Session
from ..store.text import error_data
from .calls import arguments
from .flow import Flow

COMPLETE, RELEASE = CALLBACK.trigger("complete"), CALLBACK.trigger("release")
RETRY, FAIL = CALLBACK.trigger("retry"), CALLBACK.trigger("fail")

log = logger("callback")


async def run_callback(flow: Flow, job: Job, claimed: ClaimedCallback, more: Mapping[str, object]) -> str | None:
    """Run the callback of a completed job and record its outcome.

    The callback takes `job_id`, `result`, job parameters and the values in `more` by name. The write of the outcome is
    retried until it commits; its worker renews the lease meanwhile (GAP-1). Returns the state it ended in; None if
    another worker had taken it over meanwhile.
    """
    (row,) = await flow.database.read(lambda session: session.fetch("flow/load_job", {"job_id": claimed.job_id}))
    error: Row | None = None
    if job.on_job_complete is None or job.callback_signature is None:
        error = {"type": "UndeclaredCallback", "message": f"{job.name} no longer declares on_job_complete"}
    else:
        found = JobRow.of(row)
        known = {**found.parameters, "job_id": found.job_id, "result": found.result, **more}
        try:
            await flow.call(job.on_job_complete, arguments(job.callback_signature, known))
        except asyncio.CancelledError:
            await _release(flow, claimed)
            raise
        except Exception as failure:  # noqa: BLE001 - any error of user code becomes the callback's event (GAP-7)
            error = error_data(failure)
    return await flow.database.commit_once(lambda session: _record(session, job, claimed, error))


async def _release(flow: Flow, claimed: ClaimedCallback) -> None:
    """Release the callback of a worker that stops, with a single try: if the write fails, the lease expires."""
    values: dict[str, object] = {"lease_number": claimed.lease_number, "delay": 0.0}
    data: dict[str, object] = {"worker": claimed.lease_owner, "reason": "worker stopping"}
    move = machine_of(CALLBACK).fire(Subject(claimed.key, "processing"), RELEASE, values, data)
    try:
        async with flow.database.transaction() as session:
            won = await session.apply(CALLBACKS, [move])
            if won:
                await flow.bus.announce(session, [Announcement("callback", claimed.job_id)])
    except psycopg.Error as lost:
        log.warning(
            "a callback could not be released; its lease will expire", job=claimed.job_id, error=str(lost).strip()
        )


async def _record(session: Session, job: Job, claimed: ClaimedCallback, error: Row | None) -> str | None:
    data: dict[str, object] = {"name": claimed.name, "attempt": claimed.attempt, "of": claimed.max_attempts}
    values: dict[str, object] = {"lease_number": claimed.lease_number}
    trigger = COMPLETE
    if error is not None:
        data["error"] = error
        trigger = RETRY if claimed.attempt < claimed.max_attempts else FAIL
        values["delay"] = job.callback_backoff.delay(claimed.attempt)
    move = machine_of(CALLBACK).fire(Subject(claimed.key, "processing"), trigger, values, data)
    note = Note(
        type=CALLBACK_EXECUTED,
        job_id=claimed.job_id,
        attempt=claimed.attempt,
        lease_number=claimed.lease_number,
        data=data,
        status=None if error is None else "failure",
    )
    await session.note([note])
    won = await session.apply(CALLBACKS, [move])
    if claimed.key not in won:
        return None
    if error is not None:
        report_failed(session, claimed, trigger, error)
    return move.target


def report_failed(session: Session, claimed: ClaimedCallback, trigger: str, error: Row) -> None:
    """Log that a callback failed; `trigger` is whether it was given up."""
    given_up = trigger == FAIL
    session.report(
        "error" if given_up else "warning",
        "a callback was given up" if given_up else "a callback failed, and is tried again",
        job=short(claimed.job_id),
        callback=claimed.name,
        attempt=f"{claimed.attempt} of {claimed.max_attempts}",
        error=in_a_line(error),
    )

"""finalize_job: the finalizer runs, then job → completed, and the callback is owed, in one transaction."""

from typing import Any

from ...statemachine.lifecycles import JOB
from ...statemachine.machine import Subject, machine_of
from ...statemachine.results import json_text
from ...statemachine.signature import signature_of
from ...statemachine.tables import JOBS
from ..bus.port import Bus, Message
from ..errors import StaleMessageError
from ..store.reports import in_a_line, short
from ..store.session import Note, Row, Session
from ..store.text import brief, error_data
from .calls import arguments
from .flow import Flow, Found
from .message import own_message, start_job
from .outputs import output_of

CALLBACK_NAME = "on_job_complete"


async def finalize_job(flow: Flow, found: Found) -> str:
    """Run the finalizer outside any transaction, then complete the job, or fail it where the finalizer is required.

    Raises StaleMessageError, with nothing changed, where the message is no longer ours.
    """
    result, error = await _finalized(flow, found)
    await flow.database.commit_once(lambda session: _write(session, flow, found, result, error))
    return "finalized"


async def _write(session: Session, flow: Flow, found: Found, result: str, error: Row | None) -> None:
    job = await own_message(session, found.message, flow.owner)
    if job["status"] == "queued":  # resumed after a required finalizer had failed: its stages are complete
        job = await start_job(session, job)
    if job["status"] != "processing":
        raise StaleMessageError(found.message.job_id)
    await _end(session, job, result, error)
    if error is None or not job["definition"]["finalize_required"]:
        await _owe_callback(session, flow.bus, job)


async def _finalized(flow: Flow, found: Found) -> tuple[str, Row | None]:
    """The job's result as JSON text, and the finalizer's error where it failed."""
    last = found.stages[-1]
    many = last.definition["kind"] == "each"
    finalize = found.job.finalize if found.row["definition"]["finalize"] else None
    if finalize is None and many:
        return json_text({"results": last.tasks_completed}), None
    output = await flow.database.read(lambda session: output_of(session, last))
    if finalize is None:
        return json_text(output), None
    try:
        given = arguments(signature_of(finalize), found.row["parameters"], fed=True, value=output)
        made: Any = await flow.call(finalize, given)
        return json_text(made), None
    except Exception as failure:  # noqa: BLE001 - whatever user code raises is told by the job's event (GAP-6)
        return json_text({"results": last.tasks_completed} if many else output), error_data(failure)


async def _end(session: Session, job: Row, result: str, error: Row | None) -> None:
    subject = Subject(job["job_id"], job["status"])
    if error is not None and job["definition"]["finalize_required"]:
        told: dict[str, object] = {"error": brief(error), "finalizer": "failed"}
        await session.must_apply(JOBS, machine_of(JOB).fire(subject, "fail", {"error": error}, told))
        why = "its finalizer failed"
        session.report("error", "a job failed", job=short(job["job_id"]), why=why, error=in_a_line(error))
        return
    data: dict[str, object] = {"finalizer": "succeeded" if job["definition"]["finalize"] else "none"}
    if error is not None:
        data = {"finalizer": "failed", "error": brief(error)}
        await session.note([Note(type="finalizer_failed", job_id=job["job_id"], data={"error": error})])
    await session.must_apply(JOBS, machine_of(JOB).fire(subject, "complete", {"result": result}, data))


async def _owe_callback(session: Session, bus: Bus, job: Row) -> None:
    if job["definition"]["on_job_complete"]:
        owed = {
            "job_id": job["job_id"],
            "job_type": job["job_type"],
            "name": CALLBACK_NAME,
            "max_attempts": job["definition"]["callback_attempts"],
        }
        await session.run("insert_callback", owed)
        await bus.announce(session, [Message("callback", job["job_id"])])

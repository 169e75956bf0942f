"""finalize_job: the finalizer runs, then job → completed, and the callback is owed, in one transaction."""

from collections.abc import Callable
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
from .flow import Done, Flow, Found
from .job_message import own_message, start_job
from .outputs import output_of

CALLBACK_NAME = "on_job_complete"
FINALIZED = "finalized"


async def finalize_job(flow: Flow, found: Found) -> str:
    """Run the finalizer outside any transaction, then complete the job, or fail it where the finalizer is required.

    Raises StaleMessageError, with nothing changed, where the message is no longer ours.
    """
    result, error = await _finalized(flow, found)
    await flow.database.commit_once(lambda session: _lock_and_write(session, flow, found, result, error))
    return FINALIZED


async def finalize_where_claimed(session: Session, flow: Flow, found: Found) -> Done | None:
    """Complete a job without a finalizer in the transaction that claimed its message and holds its lock.

    None, with nothing changed, where a finalizer has to run.
    """
    if _finalizer(found) is not None:
        return None
    await _write(session, flow.bus, found.row, await _unfinalized(session, found), None)
    return FINALIZED, ()


async def _lock_and_write(session: Session, flow: Flow, found: Found, result: str, error: Row | None) -> None:
    job = await own_message(session, found.message, flow.owner)
    if job["status"] not in {"queued", "processing"}:
        raise StaleMessageError(found.message.job_id)
    await _write(session, flow.bus, job, result, error)


async def _write(session: Session, bus: Bus, job: Row, result: str, error: Row | None) -> None:
    if job["status"] == "queued":  # resumed after a required finalizer had failed: its stages are complete
        job = await start_job(session, job)
    await _end(session, job, result, error)
    if error is None or not job["definition"]["finalize_required"]:
        await _owe_callback(session, bus, job)


def _finalizer(found: Found) -> Callable[..., Any] | None:
    return found.job.finalize if found.row["definition"]["finalize"] else None


async def _unfinalized(session: Session, found: Found) -> str:
    """The result of a job that no finalizer has made, as JSON text: its last stage's, or how many results that has."""
    last = found.stages[-1]
    if last.definition["kind"] == "each":
        return json_text({"results": last.tasks_completed})
    return json_text(await output_of(session, last))


async def _finalized(flow: Flow, found: Found) -> tuple[str, Row | None]:
    """The job's result as JSON text, and the finalizer's error where it failed."""
    finalize = _finalizer(found)
    if finalize is None:
        return await flow.database.read(lambda session: _unfinalized(session, found)), None
    output = await flow.database.read(lambda session: output_of(session, found.stages[-1]))
    try:
        given = arguments(signature_of(finalize), found.row["parameters"], fed=True, value=output)
        made: Any = await flow.call(finalize, given)
        return json_text(made), None
    except Exception as failure:  # noqa: BLE001 - whatever user code raises is told by the job's event (GAP-6)
        return await flow.database.read(lambda session: _unfinalized(session, found)), error_data(failure)


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
        await session.run("flow/insert_callback", owed)
        await bus.announce(session, [Message("callback", job["job_id"])])

"""finalize_job: the finalizer runs, then job → completed, and its callback is created, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...statemachine.lifecycles import FINALIZER_FAILED, JOB
from ...statemachine.machine import Subject, machine_of
from ...statemachine.results import json_text
from ...statemachine.signature import signature_of
from ...statemachine.tables import JOBS
from ..bus.port import Announcement
from ..store.reports import in_a_line, short
from ..store.rows import JobRow
from ..store.session import Note, Row, Session
from ..store.text import brief, error_data
from .calls import arguments
from .flow import Done, Flow, Found
from .job_message import start_job
from .outputs import output_of

COMPLETE, FAIL = JOB.trigger("complete"), JOB.trigger("fail")

CALLBACK_NAME = "on_job_complete"
FINALIZED = "finalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a job ends: with the result of its finalizer as JSON text, or with the finalizer's error."""

    result: str | None = None
    error: Row | None = None


def has_finalizer(found: Found) -> bool:
    """Whether a finalizer has to run."""
    return _finalizer(found) is not None


async def prepare_finish(flow: Flow, found: Found) -> Finish:
    """Run the finalizer, outside any transaction. Its error becomes the job's error or a warning (GAP-6)."""
    finalize = _finalizer(found)
    if finalize is None:
        return Finish()
    output = await flow.database.read(lambda session: output_of(session, found.stages[-1]))
    try:
        given = arguments(signature_of(finalize), found.row.parameters, fed=True, value=output)
        made: Any = await flow.call(finalize, given)
        return Finish(result=json_text(made))
    except Exception as failure:  # noqa: BLE001 - any error of user code is recorded in the job's event
        return Finish(error=error_data(failure))


async def finalize_job(session: Session, flow: Flow, found: Found, finish: Finish) -> Done:
    """Complete a job, or fail it if its finalizer failed and is required; under its lock."""
    job = found.row
    if job.status == JOB.initial.name:  # resumed after a required finalizer had failed: its stages are complete
        job = await start_job(session, job)
    if finish.error is not None and job.definition.finalizer_required:
        await _fail(session, job, finish.error)
        return Done(FINALIZED)
    result = await _unfinalized(session, found) if finish.result is None else finish.result
    await _complete(session, job, result, finish.error)
    if job.definition.has_callback:
        await _create_callback(session, job)
        await flow.bus.announce(session, [Announcement("callback", job.job_id)])
    return Done(FINALIZED)


def _finalizer(found: Found) -> Callable[..., Any] | None:
    return found.job.finalize if found.row.definition.has_finalizer else None


async def _unfinalized(session: Session, found: Found) -> str:
    """The result of a job without a finalizer, as JSON text: the last stage's, or the number of a fan-out's results."""
    last = found.stages[-1]
    if last.definition.kind == "each":
        return json_text({"results": last.tasks_completed})
    return json_text(await output_of(session, last))


async def _fail(session: Session, job: JobRow, error: Row) -> None:
    data: dict[str, object] = {"error": brief(error), "finalizer": "failed"}
    move = machine_of(JOB).fire(Subject(job.job_id, job.status), FAIL, {"error": error}, data)
    await session.must_apply(JOBS, move)
    why = "its finalizer failed"
    session.report("error", "a job failed", job=short(job.job_id), why=why, error=in_a_line(error))


async def _complete(session: Session, job: JobRow, result: str, error: Row | None) -> None:
    data: dict[str, object] = {"finalizer": "succeeded" if job.definition.has_finalizer else "none"}
    if error is not None:
        data = {"finalizer": "failed", "error": brief(error)}
        await session.note([Note(type=FINALIZER_FAILED, job_id=job.job_id, data={"error": error})])
    move = machine_of(JOB).fire(Subject(job.job_id, job.status), COMPLETE, {"result": result}, data)
    await session.must_apply(JOBS, move)


async def _create_callback(session: Session, job: JobRow) -> None:
    callback = {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "name": CALLBACK_NAME,
        "max_attempts": job.definition.callback_attempts,
    }
    await session.run("flow/insert_callback", callback)

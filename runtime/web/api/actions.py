"""The HTTP interface to what changes something: submit, resume, cancel. Each leaves an event that says who did it."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Request, Response
from pydantic import JsonValue

from ...flow.cancel import cancel
from ...flow.resume import resume
from ...flow.submit import submit
from ...store.text import cleaned
from ..problems import RESPONSES
from .dependencies import Asking, JobRef, site_url
from .response_models import Asked, Submitted
from .response_models_status import CancelAsked, Cancelled, ResumeAsked, Resumed

router = APIRouter(prefix="/api", tags=["changes"], responses=RESPONSES)
MADE: dict[int | str, dict[str, Any]] = {
    200: {"model": Submitted, "description": "the job existed already; nothing has changed"},
    202: {"model": Submitted, "description": "the job was made, and will run"},
}


@router.post("/platform/submit", status_code=202, responses=MADE)
async def submit_job(request: Request, response: Response, ask: Asking, asked: Asked) -> Submitted:
    """Submit a job, or find it where it was submitted before: same type, parameters and key are the same job."""
    machine = ask.machine
    job = machine.declared(asked.job_type)
    made = await submit(machine.database, machine.bus, job, asked.parameters, asked.key, by=ask.visitor.name)
    response.status_code = 202 if made.created else 200
    return Submitted(
        job_id=made.id,
        job_type=made.job_type,
        created=made.created,
        status=made.status,
        monitor_url=f"{site_url(request)}/jobs/{made.id}",
        result=cast("JsonValue", made.result),
        next_step=made.next_step,
    )


@router.post("/jobs/{job_id}/resume")
async def resume_job(ask: Asking, job_id: JobRef, asked: Annotated[ResumeAsked | None, Body()] = None) -> Resumed:
    """Let a failed or cancelled job go on where it stopped. What succeeded does not run again."""
    machine = ask.machine
    full = await machine.full_id(job_id)
    dry_run = asked is not None and asked.dry_run
    done = await resume(machine.database, machine.bus, full, dry_run=dry_run, by=ask.visitor.name)
    return Resumed(
        job_id=full,
        status=done.status,
        from_stage=done.from_stage,
        tasks_again=done.tasks_again,
        tasks_kept=done.tasks_kept,
    )


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(ask: Asking, job_id: JobRef, asked: Annotated[CancelAsked | None, Body()] = None) -> Cancelled:
    """Cancel a job. What has not started never will; what runs is asked to stop."""
    machine = ask.machine
    full = await machine.full_id(job_id)
    reason = (asked or CancelAsked()).reason
    status = await cancel(machine.database, machine.bus, full, cleaned(reason), by=ask.visitor.name)
    return Cancelled(job_id=full, status=status)

"""Routes that change jobs: submit, resume, cancel. Each records in an event who did it."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Request, Response
from pydantic import JsonValue

from ...flow.cancel import cancel
from ...flow.resume import resume
from ...flow.submit import submit
from ...store.text import cleaned
from ..problems import ERROR_RESPONSES
from .dependencies import Context, JobRef, site_url
from .response_models import SubmitRequest, SubmitResponse
from .response_models_status import CancelRequest, CancelResponse, ResumeRequest, ResumeResponse

router = APIRouter(prefix="/api", tags=["actions"], responses=ERROR_RESPONSES)
SUBMIT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": SubmitResponse, "description": "the job already existed; nothing has changed"},
    202: {"model": SubmitResponse, "description": "the job was created and will run"},
}


@router.post("/platform/submit", status_code=202, responses=SUBMIT_RESPONSES)
async def submit_job(request: Request, response: Response, context: Context, body: SubmitRequest) -> SubmitResponse:
    """Submit a job. A job with the same type, parameters and key is returned if it already exists."""
    machine = context.machine
    job = machine.declared(body.job_type)
    submission = await submit(machine.database, machine.bus, job, body.parameters, body.key, by=context.visitor.name)
    response.status_code = 202 if submission.created else 200
    return SubmitResponse(
        job_id=submission.id,
        job_type=submission.job_type,
        created=submission.created,
        status=submission.status,
        monitor_url=f"{site_url(request)}/jobs/{submission.id}",
        result=cast("JsonValue", submission.result),
        next_step=submission.next_step,
    )


@router.post("/jobs/{job_id}/resume")
async def resume_job(
    context: Context, job_id: JobRef, body: Annotated[ResumeRequest | None, Body()] = None
) -> ResumeResponse:
    """Resume a failed or cancelled job from where it stopped. Completed tasks do not run again."""
    machine = context.machine
    full_id = await machine.full_id(job_id)
    dry_run = body is not None and body.dry_run
    plan = await resume(machine.database, machine.bus, full_id, dry_run=dry_run, by=context.visitor.name)
    return ResumeResponse(
        job_id=full_id,
        status=plan.status,
        from_stage=plan.from_stage,
        tasks_again=plan.tasks_again,
        tasks_kept=plan.tasks_kept,
    )


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(
    context: Context, job_id: JobRef, body: Annotated[CancelRequest | None, Body()] = None
) -> CancelResponse:
    """Cancel a job. Queued tasks are cancelled; running tasks are asked to stop."""
    machine = context.machine
    full_id = await machine.full_id(job_id)
    reason = (body or CancelRequest()).reason
    status = await cancel(machine.database, machine.bus, full_id, cleaned(reason), by=context.visitor.name)
    return CancelResponse(job_id=full_id, status=status)

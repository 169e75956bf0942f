"""Routes that read jobs, stages and tasks."""

from typing import Annotated

from fastapi import APIRouter, Query

from ..problems import ERROR_RESPONSES
from .dependencies import Context, JobRef, TaskRef
from .filters import JobFilter, TaskFilter
from .queries import read_job, read_jobs, read_task, read_task_events, read_tasks
from .response_models import JobDetail, JobPage, StageList, TaskDetail, TaskPage
from .serializers import serialize_job, serialize_job_summary, serialize_stage, serialize_task, serialize_task_summary

router = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=ERROR_RESPONSES)


@router.get("")
async def list_jobs(context: Context, filters: Annotated[JobFilter, Query()]) -> JobPage:
    """List the jobs that match the filters, newest first.

    `text` is searched in types, errors and the beginning of ids, and for operators also in parameters and keys.
    """
    rows, next_cursor = await read_jobs(context.machine, context.visitor, filters)
    return JobPage(jobs=[serialize_job_summary(row, context.visitor) for row in rows], next=next_cursor)


@router.get("/{job_id}")
async def show_job(context: Context, job_id: JobRef) -> JobDetail:
    """Return a job with its stages, and for operators its parameters and result."""
    return serialize_job(await read_job(context.machine, job_id), context.visitor)


@router.get("/{job_id}/stages")
async def list_stages(context: Context, job_id: JobRef) -> StageList:
    """List the stages of a job, with the numbers of completed, failed and cancelled tasks."""
    job = await read_job(context.machine, job_id)
    return StageList(stages=[serialize_stage(stage, context.visitor) for stage in job.stages])


@router.get("/{job_id}/tasks")
async def list_tasks(context: Context, job_id: JobRef, filters: Annotated[TaskFilter, Query()]) -> TaskPage:
    """List the tasks of a job, by stage and in the order of their results."""
    rows, next_cursor = await read_tasks(context.machine, await context.machine.full_id(job_id), filters)
    return TaskPage(tasks=[serialize_task_summary(row, context.visitor) for row in rows], next=next_cursor)


@router.get("/{job_id}/tasks/{number}")
async def show_task(context: Context, job_id: JobRef, number: TaskRef) -> TaskDetail:
    """Return a task with its events, and for operators its input and result."""
    row = await read_task(context.machine, await context.machine.full_id(job_id), number)
    return serialize_task(row, await read_task_events(context.machine, row), context.visitor)

"""The HTTP interface to jobs: lists, one job, its stages and its tasks."""

from typing import Annotated

from fastapi import APIRouter, Query

from ..problems import RESPONSES
from .dependencies import Asking, JobRef, TaskRef
from .filters import JobFilter, TaskFilter
from .queries import read_jobs, read_task, read_task_events, read_tasks
from .response_models import JobDetail, JobPage, StageList, TaskDetail, TaskPage
from .serializers import job_line_of, job_of, stage_of, task_line_of, task_of

router = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=RESPONSES)


@router.get("")
async def list_jobs(ask: Asking, wanted: Annotated[JobFilter, Query()]) -> JobPage:
    """The jobs that match, newest first.

    Text is sought in ids (from their beginning), types and errors, and for an operator in parameters and keys.
    """
    rows, following = await read_jobs(ask.machine, ask.visitor, wanted)
    return JobPage(jobs=[job_line_of(row, ask.visitor) for row in rows], next=following)


@router.get("/{job_id}")
async def show_job(ask: Asking, job_id: JobRef) -> JobDetail:
    """One job with its stages, and for an operator its parameters and result."""
    return job_of(await ask.machine.job(job_id), ask.visitor)


@router.get("/{job_id}/stages")
async def list_stages(ask: Asking, job_id: JobRef) -> StageList:
    """The stages of a job, with how many tasks of each have ended, and how."""
    row = await ask.machine.job(job_id)
    return StageList(stages=[stage_of(stage, ask.visitor) for stage in row["stages"]])


@router.get("/{job_id}/tasks")
async def list_tasks(ask: Asking, job_id: JobRef, wanted: Annotated[TaskFilter, Query()]) -> TaskPage:
    """The tasks of a job, stage by stage in the order of their results."""
    rows, following = await read_tasks(ask.machine, await ask.machine.full_id(job_id), wanted)
    return TaskPage(tasks=[task_line_of(row, ask.visitor) for row in rows], next=following)


@router.get("/{job_id}/tasks/{number}")
async def show_task(ask: Asking, job_id: JobRef, number: TaskRef) -> TaskDetail:
    """One task with its events, and for an operator what it was given and what it returned."""
    row = await read_task(ask.machine, await ask.machine.full_id(job_id), number)
    return task_of(row, await read_task_events(ask.machine, row), ask.visitor)

"""The page with the list of jobs."""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import HTMLResponse, RedirectResponse

from ....statemachine.lifecycles import JOB
from ..api.dependencies import Context
from ..api.filters import EmptyAsNone, JobFilter, Timestamp
from ..api.queries import read_jobs
from ..api.serializers import serialize_job_summary
from .rendering import render_page

NAIVE_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def _in_utc(value: object) -> object:
    """Read a time without a zone as UTC, as the form's label says."""
    return f"{value}Z" if isinstance(value, str) and NAIVE_TIMESTAMP.fullmatch(value) else value


FormTimestamp = Annotated[Timestamp | None, EmptyAsNone, BeforeValidator(_in_utc)]


class JobListForm(JobFilter):
    """The filters of the job list, as its form sends them."""

    since: FormTimestamp = None
    until: FormTimestamp = None


@router.get("/")
async def home(context: Context) -> RedirectResponse:
    """Redirect to the list of jobs."""
    return RedirectResponse(f"{context.root}/jobs")


@router.get("/jobs")
async def jobs_page(request: Request, context: Context, filters: Annotated[JobListForm, Query()]) -> HTMLResponse:
    """List jobs: state, progress, age, duration and last event."""
    rows, next_page = await read_jobs(context.machine, context.visitor, filters)
    query = filters.query("after")
    return render_page(
        request,
        "jobs.html",
        jobs=[(serialize_job_summary(row, context.visitor), row) for row in rows],
        filters=filters,
        query=query,
        statuses=list(JOB.by_name),
        types=sorted(context.machine.jobs),
        next_page=f"?{urlencode({**query, 'after': next_page})}" if next_page else None,
    )

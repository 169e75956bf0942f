"""The list of jobs."""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import HTMLResponse, RedirectResponse

from ....statemachine.lifecycles import JOB
from ..api.dependencies import Asking
from ..api.filters import JobFilter, Moment, Optional
from ..api.queries import read_jobs
from ..api.serializers import job_line_of
from .rendering import page

NO_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def _in_utc(value: object) -> object:
    """A field of a form knows no time zone: the page says that it means UTC."""
    return f"{value}Z" if isinstance(value, str) and NO_ZONE.fullmatch(value) else value


FieldOfTime = Annotated[Moment | None, Optional, BeforeValidator(_in_utc)]


class JobsAsked(JobFilter):
    """Which jobs are listed, as the form above them sends it."""

    since: FieldOfTime = None
    until: FieldOfTime = None


@router.get("/")
async def home(ask: Asking) -> RedirectResponse:
    """The first page is the list of jobs."""
    return RedirectResponse(f"{ask.root}/jobs")


@router.get("/jobs")
async def jobs_page(request: Request, ask: Asking, wanted: Annotated[JobsAsked, Query()]) -> HTMLResponse:
    """One line a job: how far it is, since when, and what happened last."""
    rows, following = await read_jobs(ask.machine, ask.visitor, wanted)
    said = wanted.said("after")
    return page(
        request,
        "jobs.html",
        lines=[(job_line_of(row, ask.visitor), row) for row in rows],
        wanted=wanted,
        said=said,
        statuses=list(JOB.by_name),
        types=sorted(ask.machine.jobs),
        following=f"?{urlencode({**said, 'after': following})}" if following else None,
    )

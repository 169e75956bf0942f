"""The list of jobs."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse

from ...statemachine.lifecycles import JOB
from .asked import After, JobStatusIs, PlainText, Since, TypeIs, Until
from .asking import Asking
from .reading import JobFilter, read_jobs
from .rendering import page
from .shapes import job_line_of

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
async def home(ask: Asking) -> RedirectResponse:
    """The first page is the list of jobs."""
    return RedirectResponse(f"{ask.root}/jobs")


@router.get("/jobs")
async def jobs_page(  # noqa: PLR0913 - one parameter for each filter
    request: Request,
    ask: Asking,
    status: JobStatusIs = None,
    job_type: TypeIs = None,
    since: Since = None,
    until: Until = None,
    text: PlainText = None,
    after: After = None,
) -> HTMLResponse:
    """One line a job: how far it is, since when, and what happened last."""
    wanted = JobFilter(status=status, job_type=job_type, since=since, until=until, text=text, after=after)
    rows, following = await read_jobs(ask.machine, ask.visitor, wanted)
    kept = {"status": status, "type": job_type, "text": text}
    said = {name: value for name, value in kept.items() if value}
    return page(
        request,
        "jobs.html",
        lines=[(job_line_of(row, ask.visitor), row) for row in rows],
        said=said,
        statuses=list(JOB.by_name),
        types=sorted(ask.machine.jobs),
        following=f"?{urlencode({**said, 'after': following})}" if following else None,
    )

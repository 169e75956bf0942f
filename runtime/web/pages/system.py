"""The pages about the system: lifecycles and health."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from ....diagrams.draw import DrawError
from ....statemachine.lifecycles import JOB, LIFECYCLES
from ..api.dependencies import Context, RequestContext
from ..api.filters import MAX_TEXT_LENGTH
from ..api.health import MAX_AGE_SECONDS, read_health
from ..api.lifecycle_svg import find_lifecycle, lifecycles_by_name, render_lifecycle
from ..api.queries import read_state_counts
from .rendering import render_page

router = APIRouter(include_in_schema=False)
CORE_LIFECYCLES = frozenset(lifecycle.name for lifecycle in LIFECYCLES)


@router.get("/lifecycles")
async def lifecycles_page(request: Request, context: Context) -> HTMLResponse:
    """Show the lifecycle of a job."""
    return await lifecycle_page(request, context, JOB.name)


@router.get("/lifecycles/{name}")
async def lifecycle_page(
    request: Request,
    context: Context,
    name: str,
    state: Annotated[str | None, Query(max_length=MAX_TEXT_LENGTH)] = None,
) -> HTMLResponse:
    """Show the diagram of a lifecycle with the count in each state. `state` is highlighted."""
    lifecycle = find_lifecycle(context.machine, name)
    counts = await _counts(context, name) if name in CORE_LIFECYCLES else None
    link = f"{context.root}/jobs?status={{}}" if name == JOB.name else None
    svg, svg_error = "", ""
    try:
        svg = await render_lifecycle(lifecycle, highlight=state, counts=counts, link=link)
    except DrawError as error:
        svg_error = str(error)
    return render_page(
        request,
        "lifecycles.html",
        name=name,
        names=list(lifecycles_by_name(context.machine)),
        lifecycle=lifecycle,
        counts=counts,
        svg=svg,
        svg_error=svg_error,
        highlight=state,
        link=link,
    )


@router.get("/health")
async def health_page(request: Request, context: Context) -> HTMLResponse:
    """Show the health checks, the findings of the audit, the workers with their leases, and the backlog."""
    health = await read_health(context.machine, request.app.state.auditor)
    leases = {lease.worker: lease for lease in health.leases}
    return render_page(request, "health.html", health=health, leases=leases, max_age=MAX_AGE_SECONDS)


async def _counts(context: RequestContext, name: str) -> dict[str, int]:
    return {row.status: int(row.number) for row in await read_state_counts(context.machine) if row.machine == name}

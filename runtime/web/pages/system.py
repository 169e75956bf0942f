"""The pages on the system itself: its lifecycles, and its health."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from ....diagrams.draw import DrawError
from ....statemachine.lifecycles import JOB, LIFECYCLES
from ...store.session import Row
from ..api.dependencies import Ask, Asking
from ..api.filters import LONGEST_TEXT
from ..api.health import GOOD_FOR, read_health
from ..api.lifecycle_svg import known_lifecycles, lifecycle_of, picture
from .rendering import page

router = APIRouter(include_in_schema=False)
OWN = frozenset(lifecycle.name for lifecycle in LIFECYCLES)


@router.get("/lifecycles")
async def lifecycles_page(request: Request, ask: Asking) -> HTMLResponse:
    """The lifecycle of a job, and the way to the others."""
    return await lifecycle_page(request, ask, JOB.name)


@router.get("/lifecycles/{name}")
async def lifecycle_page(
    request: Request, ask: Asking, name: str, state: Annotated[str | None, Query(max_length=LONGEST_TEXT)] = None
) -> HTMLResponse:
    """A generated diagram, with how many are in each state, and the state of the job one came from."""
    lifecycle = lifecycle_of(ask.machine, name)
    counts = await _counts(ask, name) if name in OWN else None
    link = f"{ask.root}/jobs?status={{}}" if name == JOB.name else None
    drawn, undrawn = "", ""
    try:
        drawn = await picture(lifecycle, lit=state, counts=counts, link=link)
    except DrawError as error:
        undrawn = str(error)
    return page(
        request,
        "lifecycles.html",
        name=name,
        names=list(known_lifecycles(ask.machine)),
        lifecycle=lifecycle,
        counts=counts,
        drawn=drawn,
        undrawn=undrawn,
        lit=state,
        link=link,
    )


@router.get("/health")
async def health_page(request: Request, ask: Asking) -> HTMLResponse:
    """Workers with their leases, messages that wait, and what the audit found; green only where it was looked at."""
    health = await read_health(ask.machine, request.app.state.auditor)
    leases = {row["worker"]: row for row in health.leases}
    return page(request, "health.html", health=health, leases=leases, good_for=GOOD_FOR)


async def _counts(ask: Ask, name: str) -> dict[str, int]:
    async with ask.machine.database.session() as session:
        rows: list[Row] = await session.fetch("web/states_of_jobs")
    return {row["status"]: int(row["number"]) for row in rows if row["machine"] == name}

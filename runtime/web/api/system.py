"""Routes about the system: liveness, readiness, health, metrics and lifecycle diagrams."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from ..problems import ERROR_RESPONSES
from .dependencies import Context
from .filters import MAX_TEXT_LENGTH
from .health import MAX_AGE_SECONDS, CheckResult, read_health
from .lifecycle_svg import find_lifecycle, render_lifecycle
from .metrics import metrics_text
from .queries import read_state_counts
from .response_models import StorableText, example

router = APIRouter(tags=["system"], responses=ERROR_RESPONSES)
READY_TIMEOUT_SECONDS = 3.0


class Liveness(BaseModel):
    """The process is running."""

    model_config = example(status="ok")
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be answered: the database responds."""

    model_config = example(ready=True, database="ok")
    ready: bool
    database: Literal["ok", "unreachable"]


class HealthCheck(BaseModel):
    """The result of one check."""

    name: str
    verdict: Literal["good", "bad", "unknown"]
    words: str
    remedy: str


class HealthResponse(BaseModel):
    """The health of the system: `good` only if all checks are good and recent (`good_for` seconds)."""

    model_config = example(verdict="good", good_for=MAX_AGE_SECONDS, checks=[])
    verdict: Literal["good", "bad", "unknown"]
    good_for: float
    checks: list[HealthCheck]


@router.get("/healthz", responses={})
async def healthz() -> Liveness:
    """Report that this process is running. Needs no token and no database."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Report whether the database responds. Needs no token."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS), request.app.state.machine.database.session() as session:
            await session.fetch("web/last_event_id")
    except Exception:  # noqa: BLE001 - the route is public, so the reason is not shown
        response.status_code = 503
        return Readiness(ready=False, database="unreachable")
    return Readiness(ready=True, database="ok")


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, context: Context) -> PlainTextResponse:
    """Return metrics for Prometheus. A viewer's token is enough."""
    health = await read_health(context.machine, request.app.state.auditor)
    states = await read_state_counts(context.machine)
    return PlainTextResponse(metrics_text(health, states), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/health")
async def show_health(request: Request, context: Context) -> HealthResponse:
    """Report the health of workers, messages and reconcilers, and the result of the last audit."""
    health = await read_health(context.machine, request.app.state.auditor)
    return HealthResponse(
        verdict=health.status, good_for=MAX_AGE_SECONDS, checks=[_serialize_check(check) for check in health.checks]
    )


@router.get(
    "/api/lifecycles/{name}.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
)
async def show_lifecycle(
    context: Context,
    name: Annotated[StorableText, Path(max_length=100, description="name of a lifecycle", examples=["job"])],
    state: Annotated[
        StorableText | None, Query(max_length=MAX_TEXT_LENGTH, description="the state to highlight")
    ] = None,
) -> Response:
    """Return the diagram of a lifecycle. Needs Graphviz on the server."""
    svg = await render_lifecycle(find_lifecycle(context.machine, name), highlight=state)
    return Response(svg, media_type="image/svg+xml")


def _serialize_check(check: CheckResult) -> HealthCheck:
    return HealthCheck(name=check.name, verdict=check.status, words=check.detail, remedy=check.remedy)

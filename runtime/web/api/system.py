"""The HTTP interface to the system itself: is it there, is it ready, is it well, and what are its lifecycles."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from ..problems import ERROR_RESPONSES
from .dependencies import Context
from .filters import MAX_TEXT_LENGTH
from .health import MAX_AGE_SECONDS, Check, read_health
from .lifecycle_svg import find_lifecycle, render_lifecycle
from .metrics import metrics_text
from .queries import read_state_counts
from .response_models import StorableText, example

router = APIRouter(tags=["state"], responses=ERROR_RESPONSES)
READY_TIMEOUT_SECONDS = 3.0


class Liveness(BaseModel):
    """This process answers."""

    model_config = example(status="ok")
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be answered: the database does."""

    model_config = example(ready=True, database="ok")
    ready: bool
    database: Literal["ok", "unreachable"]


class HealthCheck(BaseModel):
    """One thing that was looked at."""

    name: str
    verdict: Literal["good", "bad", "unknown"]
    words: str
    remedy: str


class HealthResponse(BaseModel):
    """Whether all is well: `good` only where every check is, and none is older than `good_for` seconds."""

    model_config = example(verdict="good", good_for=MAX_AGE_SECONDS, checks=[])
    verdict: Literal["good", "bad", "unknown"]
    good_for: float
    checks: list[HealthCheck]


@router.get("/healthz", responses={})
async def healthz() -> Liveness:
    """This process is alive. Asks nobody else, and nobody for a token."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """The database answers. Asks nobody for a token."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS), request.app.state.machine.database.session() as session:
            await session.fetch("web/last_event_id")
    except Exception:  # noqa: BLE001 - whatever it is, it is told to those who may not see the reason
        response.status_code = 503
        return Readiness(ready=False, database="unreachable")
    return Readiness(ready=True, database="ok")


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, context: Context) -> PlainTextResponse:
    """Metrics in the format of Prometheus. A viewer's token is enough."""
    health = await read_health(context.machine, request.app.state.auditor)
    states = await read_state_counts(context.machine)
    return PlainTextResponse(metrics_text(health, states), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/health")
async def show_health(request: Request, context: Context) -> HealthResponse:
    """Workers, messages, reconcilers and the last audit."""
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
    name: Annotated[StorableText, Path(max_length=100, description="of a lifecycle", examples=["job"])],
    state: Annotated[StorableText | None, Query(max_length=MAX_TEXT_LENGTH, description="the state to be lit")] = None,
) -> Response:
    """The generated diagram of a lifecycle. Needs Graphviz on the server."""
    svg = await render_lifecycle(find_lifecycle(context.machine, name), highlight=state)
    return Response(svg, media_type="image/svg+xml")


def _serialize_check(check: Check) -> HealthCheck:
    return HealthCheck(name=check.name, verdict=check.status, words=check.detail, remedy=check.remedy)

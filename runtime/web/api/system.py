"""The HTTP interface to the system itself: is it there, is it ready, is it well, and what are its lifecycles."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from ...store.session import Row
from ..problems import RESPONSES
from .dependencies import Asking
from .filters import LONGEST_TEXT
from .health import GOOD_FOR, Check, read_health
from .lifecycle_svg import lifecycle_of, picture
from .metrics import metrics_text
from .response_models import Plain, example

router = APIRouter(tags=["state"], responses=RESPONSES)
ANSWERS_WITHIN = 3.0


class Alive(BaseModel):
    """This process answers."""

    model_config = example(status="ok")
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests can be answered: the database does."""

    model_config = example(ready=True, database="ok")
    ready: bool
    database: Literal["ok", "unreachable"]


class CheckBody(BaseModel):
    """One thing that was looked at."""

    name: str
    verdict: Literal["good", "bad", "unknown"]
    words: str
    remedy: str


class HealthBody(BaseModel):
    """Whether all is well: `good` only where every check is, and none is older than `good_for` seconds."""

    model_config = example(verdict="good", good_for=GOOD_FOR, checks=[])
    verdict: Literal["good", "bad", "unknown"]
    good_for: float
    checks: list[CheckBody]


@router.get("/healthz", responses={})
async def healthz() -> Alive:
    """This process is alive. Asks nobody else, and nobody for a token."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(request: Request, response: Response) -> Ready:
    """The database answers. Asks nobody for a token."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), request.app.state.machine.database.session() as session:
            await session.fetch("web/last_event_id")
    except Exception:  # noqa: BLE001 - whatever it is, it is told to those who may not see the reason
        response.status_code = 503
        return Ready(ready=False, database="unreachable")
    return Ready(ready=True, database="ok")


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, ask: Asking) -> PlainTextResponse:
    """Metrics in the format of Prometheus. A viewer's token is enough."""
    health = await read_health(ask.machine, request.app.state.auditor)
    async with ask.machine.database.session() as session:
        states: list[Row] = await session.fetch("web/states_of_jobs")
    return PlainTextResponse(metrics_text(health, states), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/health")
async def show_health(request: Request, ask: Asking) -> HealthBody:
    """Workers, messages, reconcilers and the last audit."""
    health = await read_health(ask.machine, request.app.state.auditor)
    return HealthBody(verdict=health.verdict, good_for=GOOD_FOR, checks=[_body(check) for check in health.checks])


@router.get(
    "/api/lifecycles/{name}.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
)
async def show_lifecycle(
    ask: Asking,
    name: Annotated[Plain, Path(max_length=100, description="of a lifecycle", examples=["job"])],
    state: Annotated[Plain | None, Query(max_length=LONGEST_TEXT, description="the state to be lit")] = None,
) -> Response:
    """The generated diagram of a lifecycle. Needs Graphviz on the server."""
    drawn = await picture(lifecycle_of(ask.machine, name), lit=state)
    return Response(drawn, media_type="image/svg+xml")


def _body(check: Check) -> CheckBody:
    return CheckBody(name=check.name, verdict=check.verdict, words=check.words, remedy=check.remedy)

"""The site: one ASGI application, on its own or mounted in another."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from ..app import AsyncCoreMachine
from . import api, pages
from .access.middleware import AccessMiddleware
from .access.policy import Access
from .api.health import Auditor
from .pages.error_pages import install_error_handlers
from .timeline.query_cache import StageQueryCache

DESCRIPTION = """\
Jobs of CoreMachine: submit them, watch them, and find out why they are where they are.

Every error says what happened, where, and what to do. Lists are paged by cursor: `next` goes into `after`.
"""


def create_site(machine: AsyncCoreMachine, access: Access | None = None) -> FastAPI:
    """The pages and the HTTP interface of `machine`, as an ASGI application.

    Served on its own it opens `machine` where nobody has, and closes it in the end. Mounted in another application,
    open `machine` in the lifespan of that one. Without `access` it is what the settings of `machine` say; with neither
    tokens nor trusted proxies only requests from this machine are answered. Raises AccessError.
    """
    policy = Access.of(machine.settings) if access is None else access

    @asynccontextmanager
    async def lifespan_context(_: FastAPI) -> AsyncGenerator[None]:
        if machine.is_open:
            yield
            return
        async with machine:
            yield

    site = FastAPI(
        title="CoreMachine",
        description=DESCRIPTION,
        version="1",
        lifespan=lifespan_context,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        middleware=[Middleware(AccessMiddleware, access=policy)],
    )
    site.state.machine = machine
    site.state.access = policy
    site.state.auditor = Auditor(machine)
    site.state.query_cache = StageQueryCache()
    site.state.closing = asyncio.Event()
    for router in (*api.ROUTERS, *pages.ROUTERS):
        site.include_router(router)
    site.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    install_error_handlers(site)
    return site

"""The site: an ASGI application that runs alone or mounted in another application."""

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
Submit CoreMachine jobs, watch them, and find out what they are waiting for.

Every error says what happened, where, and what to do. Lists have cursors: pass `next` as `after` to get the next page.
"""


def create_site(machine: AsyncCoreMachine, access: Access | None = None) -> FastAPI:
    """Create the web pages and the HTTP API of `machine`, as an ASGI application.

    Served alone, it opens `machine` unless it is open, and then closes it at the end. If you mount it in another
    application, open `machine` in that application's lifespan. `access` defaults to the settings of `machine`. Without
    tokens and trusted proxies, only requests from this machine are allowed. Raises AccessError.
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

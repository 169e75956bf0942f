"""One browser, one server and one worker for all tests of the pages, on one loop."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from psycopg import sql

from coremachine import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from coremachine.runtime.web import Access, create_site
from tests.browser.big_job import write_big_job
from tests.databases import url_of
from tests.running import working
from tests.web.jobs import raster, world
from tests.web.site import served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 20_000
BIG = "b" * 64
BIG_TASKS = 10_000
TYPICAL = "3f9c" + "a1" * 30


@dataclass
class Watched:
    """A page, with its console messages and requests."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="session")
def database_url(server: str, template: str) -> Generator[str]:
    """A database for the whole session."""
    name = f"browser_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield url_of(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def machine(database_url: str) -> AsyncGenerator[AsyncCoreMachine]:
    """The application behind the pages. It has a big job."""
    write_big_job(database_url, BIG, BIG_TASKS)
    write_big_job(database_url, TYPICAL, 22, length=104.0, failed=17, again=9, fail_fast=True)
    quick = Settings(poll=0.2, grace=1.0, concurrency=4)
    async with AsyncCoreMachine(database_url, jobs=[raster], settings=quick) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site_url(machine: AsyncCoreMachine) -> AsyncGenerator[str]:
    """The URL of the pages, open to users of this machine, while a worker runs."""
    async with served(create_site(machine, Access())) as url, working(machine):
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """Chromium, started once."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; install Debian's package chromium")
    # its sandbox does not work for root
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*sandbox, "--disable-dev-shm-usage", "--font-render-hinting=none"]
        )
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, site_url: str) -> AsyncGenerator[BrowserContext]:
    """A browser without history."""
    made = await browser.new_context(
        base_url=site_url, timezone_id="Europe/Vienna", viewport={"width": 1280, "height": 900}
    )
    made.set_default_timeout(PATIENCE)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def watched(context: BrowserContext) -> AsyncGenerator[Watched]:
    """A page that must not log errors or load anything from another host."""
    seen = Watched(await context.new_page())

    def complain(message: ConsoleMessage) -> None:
        # the page shows a lost connection, and the browser logs it too
        if message.type in {"error", "warning"} and not re.search(
            r"ERR_CONNECTION|ERR_INCOMPLETE|40[13]", message.text
        ):
            seen.complaints.append(message.text)

    seen.page.on("console", complain)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    yield seen
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(("http://127.0.0.1:", "data:"))] == []


@pytest.fixture
def page(watched: Watched) -> Page:
    """The page."""
    return watched.page


@pytest.fixture(autouse=True)
def open_gate() -> Generator[None]:
    """Reset the world: no handler waits or fails."""
    world.gate = asyncio.Event()
    world.gate.set()
    world.failing = set()
    world.message = "window (512, 768) lies outside the raster"
    yield
    world.gate.set()
    world.failing = set()

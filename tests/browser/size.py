"""Measures each page and route for a job of 100 000 tasks: `python -m tests.browser.size`.

Prints the first and the median of several requests, the slowest statement of each with its plan, and the time to first
paint in the browser. Exits with 1 if a median is over the limit.
"""

import asyncio
import math
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import async_playwright

from coremachine import AsyncCoreMachine
from coremachine.runtime.embedded import EmbeddedServer
from coremachine.runtime.settings import Settings
from coremachine.runtime.store.queries import query
from coremachine.runtime.store.session import Row, Session
from coremachine.runtime.web import Access, create_site
from tests.browser.big_job import write_big_job
from tests.browser.conftest import CHROMIUM
from tests.web.site import served

JOB = "b" * 64
OPEN = "c" * 64
TASKS = 100_000
TIMES = 9
LIMIT = 0.2
FIRST_PAINT = 1.0
PATHS = [
    "/jobs",
    "/jobs?text=raster&status=failed",
    f"/jobs/{JOB}",
    f"/jobs/{OPEN}",
    f"/jobs/{JOB}?open=2&rows=50000",
    f"/jobs/{JOB}?level=all",
    f"/jobs/{JOB}?status=failure",
    f"/jobs/{JOB}?text=outside",
    f"/jobs/{JOB}?task=50000",
    f"/jobs/{JOB}?zoom=100~130",
    f"/jobs/{JOB}/tasks/50000",
    "/lifecycles/task",
    "/health",
    "/metrics",
    "/api/jobs",
    f"/api/jobs/{JOB}",
    f"/api/jobs/{JOB}/stages",
    f"/api/jobs/{JOB}/tasks",
    f"/api/jobs/{JOB}/tasks?status=failed",
    f"/api/jobs/{JOB}/tasks/99999",
    f"/api/jobs/{JOB}/events",
    f"/api/jobs/{JOB}/events?limit=500&after=WzE1MDAwMF0",
    f"/api/jobs/{JOB}/events?status=failure",
    f"/api/jobs/{JOB}/events?text=nothing",
    f"/api/jobs/{JOB}/events?task=50000",
    f"/api/jobs/{JOB}/why",
    f"/api/jobs/{JOB}/timeline",
    f"/api/jobs/{JOB}/timeline?format=text",
    "/api/health",
]


class Noted(Session):
    """A session that records the duration and the parameters of each statement."""

    took: list[tuple[float, str, Mapping[str, object]]]

    async def fetch(self, name: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run the query, and record it."""
        began = time.perf_counter()
        rows = await super().fetch(name, parameters)
        NOTES.append((time.perf_counter() - began, name, parameters or {}))
        return rows


NOTES: list[tuple[float, str, Mapping[str, object]]] = []


async def measure() -> bool:
    """Print everything, and return whether all is within the limits."""
    place = tempfile.mkdtemp(prefix="coremachine-size-")
    os.chmod(place, 0o755)  # noqa: PTH101, S103 - where root runs this, PostgreSQL runs as another user
    server = EmbeddedServer.open(Path(place, "data"))
    try:
        async with AsyncCoreMachine(server.url, install=True, settings=Settings()) as machine:
            write_big_job(server.url, JOB, TASKS)
            write_big_job(server.url, OPEN, TASKS, under_way=True)
            site = create_site(machine, Access())
            _note(machine)
            async with served(site) as url:
                slow = await _requests(machine, url)
                painted = await _painted(f"{url}/jobs/{JOB}")
    finally:
        server.stop()
        shutil.rmtree(place)
    return not slow and painted


def _note(machine: AsyncCoreMachine) -> None:
    """Make the sessions of `machine` record their statements."""
    sessions = machine.database.session

    def noted(within: float = math.inf) -> Any:
        return _Noting(sessions(within))

    machine.database.session = noted  # type: ignore[method-assign] # measured from outside


class _Noting:
    def __init__(self, opened: Any) -> None:
        self._opened = opened

    async def __aenter__(self) -> Session:
        session = await self._opened.__aenter__()
        return Noted(session.connection, session.schema)

    async def __aexit__(self, *error: object) -> None:
        await self._opened.__aexit__(*error)


async def _requests(machine: AsyncCoreMachine, url: str) -> list[str]:
    """Print a line for each path, and the plan of its slowest statement; returns the slow paths."""
    slow: list[str] = []
    print(f"{'first':>8} {'median':>8} {'of it SQL':>10}  path")
    async with httpx.AsyncClient(base_url=url, timeout=60) as web:
        for path in PATHS:
            taken: list[float] = []
            noted: list[tuple[float, str, Mapping[str, object]]] = []
            for _ in range(TIMES):
                NOTES.clear()
                began = time.perf_counter()
                answer = await web.get(path)
                taken.append(time.perf_counter() - began)
                noted = noted or list(NOTES)
                assert answer.status_code == 200, (path, answer.text)
            middle, sql = statistics.median(taken), sum(note[0] for note in NOTES)
            shown = path.replace(JOB, "JOB").replace(OPEN, "RUNNING")
            print(f"{taken[0] * 1000:>6.0f}ms {middle * 1000:>6.0f}ms {sql * 1000:>8.0f}ms  {shown}")
            if noted:
                await _plan(machine, max(noted, key=lambda note: note[0]))
            if middle > LIMIT:
                slow.append(shown)
    print(f"over {LIMIT * 1000:.0f} ms: {', '.join(slow) or 'none'}")
    return slow


async def _plan(machine: AsyncCoreMachine, note: tuple[float, str, Mapping[str, object]]) -> None:
    took, name, given = note
    async with await machine.database.connection("plans") as connection:
        cursor = await connection.execute(b"EXPLAIN " + query(name, machine.database.schema), given)
        lines = [str(row["QUERY PLAN"]) for row in await cursor.fetchall()]
    nodes = [line.strip(" ->") for line in lines if re.search(r"Scan|Aggregate", line)]
    print(f"{'':>30}{name}.sql, {took * 1000:.0f} ms: {'; '.join(re.sub(r'  .*$', '', node) for node in nodes[:4])}")


async def _painted(url: str) -> bool:
    if CHROMIUM is None:
        print("no Chromium is installed: first paint not measured")
        return True
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        times: list[float] = []
        for _ in range(TIMES):
            page = await browser.new_page()
            await page.goto(url)
            entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
            found = await page.wait_for_function(entry)
            times.append(float(await found.json_value()))
            await page.close()
        await browser.close()
    middle = statistics.median(times)
    print(f"first paint in the browser: {times[0]:.0f} ms, median {middle:.0f} ms")
    return middle < FIRST_PAINT * 1000


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure()) else 1)

"""Only operators see parameters, results and tracebacks, on every route."""

import re

from fastapi import FastAPI
from fastapi.routing import APIRoute

from coremachine.runtime.web import create_site
from coremachine.runtime.web.pages import job, jobs, login, system
from tests.databases import OpenApp
from tests.running import work
from tests.web.jobs import GIVEN, RETURNED, TRACED, raster, world
from tests.web.site import OPERATOR, TOKENS, VIEWER, client

SECRETS = (GIVEN, RETURNED, TRACED)
MORE = {
    "/jobs/{job_id}": ["?level=all", "?task=4", "?status=failure", "?open=2"],
    "/jobs": ["?status=failed"],
    "/api/jobs/{job_id}/events": ["?level=all&limit=500"],
    "/api/jobs/{job_id}/timeline": ["?level=all", "?format=text&level=all"],
}


def paths_of(site: FastAPI) -> list[str]:
    """The path of every GET route. Streams do not end, and have their own test."""
    found: set[str] = set(site.openapi()["paths"])

    for module in (job, jobs, login, system):
        found |= {
            route.path
            for route in module.router.routes
            if isinstance(route, APIRoute) and "GET" in (route.methods or ())
        }
    posts = {"/api/platform/submit", "/api/jobs/{job_id}/resume", "/api/jobs/{job_id}/cancel"}
    return sorted(found - posts - {"/api/changes"})


async def test_a_viewer_sees_no_parameter_no_result_and_no_traceback_on_any_route(open_app: OpenApp) -> None:
    app = await open_app(raster)
    done, failed = await app.submit(raster, size=2), None
    await work(app)
    world.failing = {2}
    failed = await app.submit(raster, size=5)
    await work(app)
    site = create_site(app, TOKENS)
    paths = paths_of(site)
    assert len(paths) >= 18
    shown: dict[str, set[str]] = {VIEWER: set(), OPERATOR: set()}
    for secret in shown:
        async with client(site, authorization=f"Bearer {secret}") as web:
            for path in paths:
                for job_id, number in ((done.id, "2"), (failed.id, "4")):
                    filled = path.replace("{job_id}", job_id).replace("{number}", number).replace("{name}", "job")
                    for query in ["", *MORE.get(path, [])]:
                        answer = await web.get(filled + query, headers={"accept": "text/html, */*"})
                        assert answer.status_code in {200, 307}, (filled + query, answer.text)
                        found = {one for one in SECRETS if one in answer.text}
                        assert secret == OPERATOR or not found, (filled + query, found)
                        shown[secret] |= found
    assert shown == {VIEWER: set(), OPERATOR: set(SECRETS)}


async def test_a_viewers_search_does_not_reveal_hidden_data(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {2}
    job = await app.submit(raster, size=5)
    await work(app)
    site = create_site(app, TOKENS)
    found: dict[str, list[int]] = {}
    for secret in (VIEWER, OPERATOR):
        async with client(site, authorization=f"Bearer {secret}") as web:
            jobs = (await web.get(f"/api/jobs?text={GIVEN}")).json()["jobs"]
            events = (await web.get(f"/api/jobs/{job.id}/events?text={TRACED}")).json()["events"]
            found[secret] = [len(jobs), len(events)]
    assert found[VIEWER] == [0, 0]
    assert min(found[OPERATOR]) > 0


async def test_the_page_has_no_actions_for_a_viewer(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    site = create_site(app, TOKENS)
    for secret, expected in ((VIEWER, False), (OPERATOR, True)):
        async with client(site, authorization=f"Bearer {secret}") as web:
            page = (await web.get(f"/jobs/{job.id}")).text
        assert bool(re.search(r"<form[^>]*/cancel", page)) == expected

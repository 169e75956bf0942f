"""The content of the pages, as the server renders them."""

import re

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.web import create_site
from coremachine.statemachine.lifecycles import JOB
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.running import work, working
from tests.waiting import until_event
from tests.web.jobs import raster, world
from tests.web.site import client


@task
def many() -> list[int]:
    return list(range(41))


@task(retries=1, backoff=Backoff(first=600, factor=1, most=600, jitter=0))
def tried(number: int) -> int:
    if number == 0:
        raise OSError("not yet")
    return number


patient = Job("patient", [Stage("many", many), Stage("tried", tried, each="many")])


async def html(app: AsyncCoreMachine, path: str) -> str:
    """A page as an operator sees it."""
    async with client(create_site(app)) as web:
        answer = await web.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.replace("&amp;", "&")


async def failed_job(app: AsyncCoreMachine, size: int = 5) -> str:
    """A job whose task 4 has failed at its second attempt."""
    world.failing = {2}
    job = await app.submit(raster, size=size)
    await work(app)
    return job.id


async def test_a_cancelled_stage_is_not_shown_as_not_started(open_app: OpenApp) -> None:
    app = await open_app(raster)
    page = await html(app, f"/jobs/{await failed_job(app)}")
    assert '<p class="empty-lane">cancelled</p>' in page
    assert "not started" not in page
    waiting = await app.submit(raster, size=1)
    assert '<p class="empty-lane">not started</p>' in await html(app, f"/jobs/{waiting.id}")


async def test_an_event_links_to_its_task_and_keeps_the_view(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job_id = await failed_job(app)
    page = await html(app, f"/jobs/{job_id}?zoom=0~60&tz=utc&level=all")
    assert 'href="?level=all&zoom=0~60&tz=utc&task=4">4</a>' in page.replace("%7E", "~")
    assert f'<a href="/jobs/{job_id}?task=4">4</a>' in await html(app, f"/jobs/{job_id}/tasks/4")


async def test_a_job_has_the_same_duration_on_its_page_as_in_the_list(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    await work(app)
    page, listed = await html(app, f"/jobs/{job.id}"), await html(app, "/jobs")
    (took,) = re.findall(r"Completed in ([^:]+):", page)
    assert f'<span class="number">{took}</span></p>' in page
    assert f'<td class="number duration">{took}</td>' in listed


async def test_the_diagnosis_has_its_events_as_in_the_list_of_events(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job_id = await failed_job(app)
    async with client(create_site(app)) as web:
        why = (await web.get(f"/api/jobs/{job_id}/why")).json()
        events = (await web.get(f"/api/jobs/{job_id}/events?limit=500")).json()["events"]
    known = {event["event_id"]: event for event in events}
    for name in ("first_failure", "last_successful"):
        assert why[name] == known[why[name]["event_id"]]
    assert why["first_failure"]["attempt"] == 2


async def test_a_big_stage_shows_what_waits_for_a_retry_and_what_failed(open_app: OpenApp) -> None:
    app = await open_app(raster, patient)
    failed = await html(app, f"/jobs/{await failed_job(app, 45)}")
    assert '<rect class="failed"' in failed
    assert 'aria-label="Failures: 1"' in failed
    job = await app.submit(patient)
    async with working(app):
        await until_event(app, job.id, "task_retry_scheduled")
        await until_event(app, job.id, "task_completed", number=41)
        page = await html(app, f"/jobs/{job.id}")
    assert '<rect class="waiting" x=' in page
    assert '<rect class="failed"' not in page


async def test_a_traceback_is_shown_once_in_an_event_and_older_attempts_are_collapsed(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job_id = await failed_job(app)
    page = await html(app, f"/jobs/{job_id}?task=4")
    event = page[page.index('class="event bad"') :]
    assert event[: event.index("</details>")].count("frame_of_ours(number)") == 1
    panel = page[page.index('id="task"') :]
    assert re.search(
        r'<details class="attempt warn" id="attempt1">.*<div class="attempt bad" id="attempt2">', panel, re.DOTALL
    )
    (asked,) = set(re.findall(r"curl http://localhost/api/jobs/(\w+)/tasks/4", panel))
    assert job_id.startswith(asked)


async def test_the_verdict_links_to_the_failed_task_and_the_lifecycle_highlights_the_state(open_app: OpenApp) -> None:
    app = await open_app(raster)
    page = await html(app, f"/jobs/{await failed_job(app)}")
    assert re.search(r'<h2 id="verdict-title">[^<]*: <a href="[^"]*task=4">task 4</a>, attempt 2 of 2</h2>', page)
    if "lifecycle-inline" in page:
        assert page.count('class="node highlight"') == 1


async def test_jobs_are_filtered_by_submission_time(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    for query, found in (
        ("since=2001-01-01T00:00&until=", True),
        ("since=&until=2001-01-01T00:00", False),
        ("since=2001-01-01T00:00:00Z", True),
    ):
        page = await html(app, f"/jobs?{query}")
        assert (job.id in page) == found, query
    assert 'name="since" type="datetime-local" value="2001-01-01T00:00"' in page


async def test_health_checks_leases_the_age_of_the_outbox_and_dead_letters(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with client(create_site(app)) as web:
        checks = {check["name"]: check for check in (await web.get("/api/health")).json()["checks"]}
    assert {"workers", "leases", "outbox age", "dead letters", "reconcilers", "audit"} == set(checks)
    assert checks["dead letters"]["words"] == "none in the last seven days"
    page = await html(app, "/health")
    assert 'data-label="Result"' in page


async def test_a_state_without_jobs_has_the_count_zero(open_app: OpenApp) -> None:
    app = await open_app(raster)
    await app.submit(raster, size=1)
    page = await html(app, "/lifecycles/job")
    if '<svg class="lifecycle"' in page:
        assert page.count('class="pill"') == len(JOB.states)
        assert page.count('class="number zero"') == len(JOB.states) - 1

"""Login, roles, other sites, lost connections and hostile names, in a real browser."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from coremachine import AsyncCoreMachine
from coremachine.runtime.web import Access, create_site
from coremachine.runtime.web.access.policy import SESSION_COOKIE
from tests.observing import rewrite, rows
from tests.waiting import until_event, until_status
from tests.web.jobs import GIVEN, RETURNED, TRACED, raster, world
from tests.web.site import OPERATOR, TOKENS, VIEWER, served

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=20_000)


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncGenerator[Page]:
    """A page in its own browser."""
    context = await browser.new_context(base_url=url)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def log_in(page: Page, token: str) -> None:
    """Fill in the login form."""
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Log in").click()


async def test_a_viewer_may_read_and_an_operator_may_change(
    browser: Browser, machine: AsyncCoreMachine, site_url: str
) -> None:
    assert site_url
    world.failing = {1}
    job = await machine.submit(raster, size=2, name=f"{GIVEN} of the roles")
    await until_status(machine, job.id, "failed")
    async with served(create_site(machine, TOKENS)) as closed:
        async with visiting(browser, closed) as page:
            await page.goto(f"/jobs/{job.id}?task=3")
            await expect(page).to_have_url(re.compile("/login"))
            await log_in(page, "a guess that is long enough")
            await expect(page.get_by_role("alert")).to_contain_text("Unknown token")
            await log_in(page, VIEWER)
            await expect(page).to_have_url(re.compile(f"/jobs/{job.id}.task=3"))
            await expect(page.locator("#verdict")).to_contain_text("Failed in stage 2")
            # the event stream works with the cookie alone
            await expect(page.locator("#stream")).to_have_text("Live")
            (cookie,) = [one for one in await page.context.cookies() if one.get("name") == SESSION_COOKIE]
            assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
            assert await page.evaluate("document.cookie") == ""
            text = await page.content()
            assert not [secret for secret in (GIVEN, RETURNED, TRACED) if secret in text]
            assert await page.get_by_text("Resume…").count() == 0
            refused = await page.evaluate(f"fetch('/api/jobs/{job.id}/resume', {{method: 'POST'}}).then(a => a.status)")
            assert refused == 403
            assert (await machine.job(job.id))["status"] == "failed"
            await page.get_by_role("button", name="Log out").click()
            await expect(page.get_by_label("Token")).to_be_visible()
        async with visiting(browser, closed) as page:
            await page.goto(f"/jobs/{job.id}?task=3")
            await log_in(page, OPERATOR)
            await expect(page.locator("#task .traceback").last).to_contain_text(TRACED)
            world.failing = set()
            await page.get_by_text("Resume…").click()
            await page.get_by_role("button", name="Resume now").click()
            await expect(page.locator("#verdict")).to_contain_text("Completed in")
    (resumed,) = await rows(
        machine, "SELECT * FROM app.job_events WHERE job_id = %s AND event_type = 'job_resumed'", job.id
    )
    assert resumed["event_data"]["by"] == "otto"


async def test_another_site_cannot_act_through_a_visitors_browser(
    browser: Browser, machine: AsyncCoreMachine, site_url: str
) -> None:
    """The site on loopback is the most exposed: it needs no token."""
    world.gate.clear()
    job = await machine.submit(raster, size=1, name="forged")
    await until_event(machine, job.id, "task_started", number=2)
    form = f"<form method=post action='{site_url}/jobs/{job.id}/cancel'><button>Win</button></form>"
    async with visiting(browser, site_url) as page:
        other = f"http://localhost:{urlsplit(site_url).port}/elsewhere"
        await page.route(other, lambda route: route.fulfill(body=form, content_type="text/html"))
        await page.goto(other)
        async with page.expect_response(re.compile("/cancel")) as answered:
            await page.get_by_role("button", name="Win").click()
        assert (await answered.value).status == 403
    assert (await machine.job(job.id))["status"] == "processing"
    world.gate.set()
    await until_status(machine, job.id, "completed")


async def test_a_lost_stream_is_shown_and_catches_up(
    browser: Browser, machine: AsyncCoreMachine, site_url: str
) -> None:
    assert site_url
    world.gate.clear()
    job = await machine.submit(raster, size=3, name="lost")
    await until_event(machine, job.id, "task_started", number=2)
    site = create_site(machine, Access())
    async with served(site) as url:
        context = await browser.new_context(base_url=url)
        page = await context.new_page()
        await page.goto(f"/jobs/{job.id}")
        await expect(page.locator("#stream")).to_have_text("Live")
        await expect(page.locator("#verdict")).to_contain_text("Running")
    # the server has stopped
    await expect(page.locator("#stream")).to_contain_text(re.compile("Connection lost for .*; reconnecting"))
    await expect(page.locator("#stream")).to_have_class(re.compile("lost"))
    world.gate.set()
    await until_status(machine, job.id, "completed")
    await expect(page.locator("#verdict")).to_contain_text("Running")
    async with served(site, port=urlsplit(url).port or 0):
        await expect(page.locator("#stream")).to_have_text("Live")
        await expect(page.locator("#verdict")).to_contain_text("Completed in")
        await expect(page.locator("#events")).to_contain_text("job_completed")
        await context.close()


async def test_a_script_in_a_name_is_shown_and_not_run(page: Page, machine: AsyncCoreMachine) -> None:
    script = "<script>window.ran = 'yes'</script><img src=x onerror=\"window.ran = 'yes'\">"
    world.failing, world.message = {0}, script
    job = await machine.submit(raster, size=1, name=f"named {script}")
    await until_status(machine, job.id, "failed")
    await rewrite(machine, "UPDATE app.jobs SET job_type = %s WHERE job_id = %s", script, job.id)
    for path in ("/jobs", f"/jobs/{job.id}?task=2", f"/jobs/{job.id}/tasks/2"):
        await page.goto(path)
        await expect(page.locator("main")).to_contain_text("<script>window.ran")
        assert await page.evaluate("window.ran") is None
    # and not after a refresh
    await page.goto(f"/jobs/{job.id}")
    await page.get_by_role("link", name="task 2").first.click()
    await expect(page.locator("#task")).to_contain_text("<script>window.ran")
    assert await page.evaluate("window.ran") is None

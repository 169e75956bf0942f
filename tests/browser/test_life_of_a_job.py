"""A job in a real browser."""

import re
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from coremachine import AsyncCoreMachine
from tests.waiting import until_event, until_status
from tests.web.jobs import raster, world

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=20_000)


async def failed_job(machine: AsyncCoreMachine, name: str, size: int = 5) -> str:
    """Run a job whose task 4 fails; returns its id."""
    world.failing = {2}
    job = await machine.submit(raster, size=size, name=name)
    await until_status(machine, job.id, "failed")
    return job.id


async def test_a_job_is_followed_from_submission_to_failure_and_after_a_resume_to_its_end(
    page: Page, site_url: str
) -> None:
    world.gate.clear()
    world.failing = {2}
    await page.goto("/jobs")
    answer = await page.request.post(
        "/api/platform/submit", data={"job_type": "raster", "parameters": {"size": 5, "name": "watched"}}
    )
    job_id = (await answer.json())["job_id"]
    assert answer.status == 202
    # it appears in the list by itself
    row = page.locator(f"#j{job_id[:12]}")
    await expect(row).to_contain_text("processing")
    await row.get_by_role("link").click()
    card = page.locator("#verdict")
    await expect(card).to_contain_text("Running: stage 2 of 3, shade, 0 of 5 tasks finished")
    await expect(page.locator("#lane-2 .bars .running").first).to_be_visible()
    marker = await page.evaluate("window.loadedOnce = 'yes'")
    world.gate.set()
    await expect(card).to_contain_text("Failed in stage 2 of 3, shade: task 4, attempt 2 of 2")
    await expect(card).to_contain_text("RasterReadError: window (512, 768) lies outside the raster")
    await expect(card).to_contain_text("Last successful")
    await expect(page.locator("#events .error-here")).to_have_text("← ERROR HERE")
    # the attempt that was retried, and the one that failed for good
    await expect(page.locator("#t4 .running.warn")).to_have_count(1)
    await expect(page.locator("#t4 .running.bad")).to_have_count(1)
    assert await page.evaluate("window.loadedOnce") == marker, "the page was reloaded"
    # the task panel beside the timeline
    await card.get_by_role("link", name="task 4").click()
    panel = page.get_by_role("complementary", name="Task 4")
    await expect(panel.locator(".traceback").last).to_contain_text("frame_of_ours")
    await expect(panel).to_contain_text("Attempt 1")
    await expect(panel).to_contain_text("Attempt 2")
    await expect(page).to_have_url(re.compile("task=4"))
    await panel.get_by_role("link", name="Close").click()
    await expect(panel).to_have_count(0)
    # resume
    world.failing = set()
    await card.get_by_text("Resume…").click()
    await expect(card).to_contain_text("This will run 1 task again and continue from stage shade")
    await card.get_by_role("button", name="Resume now").click()
    await expect(card).to_contain_text("Completed in")
    (resumed,) = [
        event
        for event in (await (await page.request.get(f"/api/jobs/{job_id}/events?limit=500")).json())["events"]
        if event["type"] == "job_resumed"
    ]
    assert resumed["data"]["by"] == "loopback"
    assert page.url.startswith(site_url)


async def test_a_running_job_is_cancelled_from_its_page_with_a_reason(page: Page, machine: AsyncCoreMachine) -> None:
    world.gate.clear()
    job = await machine.submit(raster, size=3, name="cancelled")
    await until_event(machine, job.id, "task_started", number=3)
    await page.goto(f"/jobs/{job.id}")
    card = page.locator("#verdict")
    await card.get_by_text("Cancel…").click()
    await card.get_by_label("Reason").fill("wrong input")
    await card.get_by_role("button", name="Cancel the job").click()
    await expect(page.locator("#events")).to_contain_text("stop_requested")
    world.gate.set()
    await expect(card).to_contain_text("Cancelled after")


async def test_the_filters_are_in_the_url_and_survive_a_reload(page: Page, machine: AsyncCoreMachine) -> None:
    job_id = await failed_job(machine, "filtered")
    await page.goto(f"/jobs/{job_id}")
    events = page.locator("#events")
    everything = await events.locator(".event").count()
    await events.get_by_label("Status").select_option("failure")
    await events.get_by_role("button", name="Filter").click()
    await expect(events.get_by_role("heading", name="Matching events")).to_be_visible()
    failures = await events.locator(".event").count()
    assert 0 < failures < everything
    await expect(page).to_have_url(re.compile("status=failure"))
    await events.get_by_label("Search").fill("task_failed")
    await events.get_by_label("Search").press("Enter")
    await expect(page).to_have_url(re.compile("text=task_failed"))
    await expect(events.locator(".event .text")).to_have_text(["task_failed (task-004)"])
    await page.reload()
    await expect(events.locator(".event .text")).to_have_text(["task_failed (task-004)"])
    await page.go_back()
    await expect(events.locator(".event")).to_have_count(failures)
    await events.get_by_role("link", name="Clear").click()
    await expect(events.locator(".event")).to_have_count(everything)
    await events.get_by_label("Level").select_option("all")
    await events.get_by_role("button", name="Filter").click()
    await expect(events).to_contain_text("job_started")
    await events.get_by_label("Task").fill("4")
    await events.get_by_role("button", name="Filter").click()
    await expect(page.get_by_role("complementary", name="Task 4")).to_be_visible()


async def test_the_keys_go_to_the_failure_the_last_success_and_the_search(
    page: Page, machine: AsyncCoreMachine
) -> None:
    job_id = await failed_job(machine, "keys")
    await page.goto(f"/jobs/{job_id}")
    await expect(page.locator("#stream")).to_have_text("Live")
    await page.keyboard.press("f")
    await expect(page.locator("#t4")).to_be_focused()
    await expect(page.locator("#tip")).to_contain_text("task 4: failed, RasterReadError, attempt 2 of 2")
    tip, row = await page.locator("#tip").bounding_box(), await page.locator("#t4").bounding_box()
    assert tip is not None
    assert row is not None
    assert abs(tip["y"] + tip["height"] - row["y"]) < 20, "the tooltip is beside its row"
    await page.keyboard.press("f")
    await expect(page.locator(".event.bad > summary").first).to_be_focused()
    await page.keyboard.press("l")
    last = await page.locator('[data-jump="last"]').get_attribute("href")
    await expect(page.locator(f"{last} > summary")).to_be_focused()
    await expect(page.locator(str(last))).to_have_attribute("open", "")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    await page.get_by_role("button", name="? keys").click()
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("show these keys")
    await page.keyboard.press("Escape")
    await page.locator("#t4").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#task")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#task")).to_have_count(0)
    await expect(page.locator("#t4")).to_be_focused()


async def test_the_timeline_is_zoomed_by_key_and_by_dragging(page: Page, machine: AsyncCoreMachine) -> None:
    job_id = await failed_job(machine, "zoomed")
    await page.goto(f"/jobs/{job_id}")
    chart = page.locator("#chart")
    whole = await chart.get_attribute("data-first")
    await page.keyboard.press("+")
    await expect(page).to_have_url(re.compile("zoom="))
    await expect(chart).not_to_have_attribute("data-first", str(whole))
    await page.keyboard.press("0")
    await expect(chart).to_have_attribute("data-first", str(whole))
    area = await page.locator(".ticks").bounding_box()
    assert area is not None
    await page.mouse.move(area["x"] + area["width"] * 0.25, area["y"] - 20)
    await page.mouse.down()
    await page.mouse.move(area["x"] + area["width"] * 0.5, area["y"] - 20, steps=4)
    await page.mouse.up()
    await expect(page).to_have_url(re.compile("zoom="))
    first, last = (float(one) for one in re.split("zoom=|~|%7E", page.url)[1:3])
    assert 0 <= first < last


async def test_times_are_local_or_utc_and_the_other_one_on_hover(page: Page, machine: AsyncCoreMachine) -> None:
    job_id = await failed_job(machine, "times")
    created = (await machine.job(job_id))["created_at"]

    local, utc = (f"{created.astimezone(zone):%H:%M:%S}" for zone in (ZoneInfo("Europe/Vienna"), UTC))
    await page.goto(f"/jobs/{job_id}")
    first = page.locator("#events time").first
    await expect(first).to_have_text(local)
    await expect(first).to_have_attribute("title", re.compile(f"{utc}.* UTC · .* ago"))
    await page.keyboard.press("u")
    await expect(first).to_have_text(utc)
    await expect(page).to_have_url(re.compile("tz=utc"))


async def test_an_event_opens_to_its_data_and_has_a_url(page: Page, machine: AsyncCoreMachine) -> None:
    job_id = await failed_job(machine, "deep")
    await page.goto(f"/jobs/{job_id}")
    event = page.locator(".event.bad").first
    name = await event.get_attribute("id")
    await page.goto(f"/jobs/{job_id}#{name}")
    await page.reload()
    await expect(page.locator(f"#{name}")).to_have_attribute("open", "")
    await expect(page.locator(f"#{name}")).to_contain_text('"attempt": 2')


async def test_the_timeline_is_copied_as_the_terminal_prints_it(page: Page, machine: AsyncCoreMachine) -> None:
    job_id = await failed_job(machine, "copied")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(f"/jobs/{job_id}")
    await page.get_by_role("button", name="Copy as text").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = await page.evaluate("navigator.clipboard.readText()")
    assert text.startswith(f"Job: {job_id[:6]}")
    assert "← ERROR HERE" in text


async def test_the_lifecycle_highlights_the_state_of_a_job_and_links_to_the_jobs_in_it(
    page: Page, machine: AsyncCoreMachine
) -> None:
    job_id = await failed_job(machine, "lit")
    await page.goto(f"/jobs/{job_id}")
    await page.get_by_text("Show the diagram").click()
    await expect(page.locator("#lifecycle .node.highlight")).to_contain_text("failed")
    await page.get_by_role("link", name="job, failed").click()
    await expect(page.locator(".lifecycle .node.highlight")).to_have_count(1)
    await expect(page.locator(".lifecycle .node.highlight")).to_contain_text("failed")
    await page.locator(".lifecycle .node.highlight").click()
    await expect(page).to_have_url(re.compile("/jobs\\?status=failed"))
    await expect(page.locator(f"#j{job_id[:12]}")).to_be_visible()


async def test_health_is_shown_only_after_the_checks_have_run(page: Page, machine: AsyncCoreMachine) -> None:
    await page.goto("/health")
    await expect(page.locator("#health")).to_contain_text("Healthy means that every check passed in the last 60 s")
    await expect(page.locator("tr", has_text="workers").first).to_contain_text("1 online")
    await expect(page.locator("tr", has_text="audit").first).to_contain_text("checks,")
    assert machine.is_open

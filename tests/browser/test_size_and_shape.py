"""Ten thousand tasks, a phone, a printer, and accessibility."""

import os
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from coremachine import AsyncCoreMachine
from tests.browser.conftest import BIG, BIG_TASKS, TYPICAL
from tests.waiting import until_status
from tests.web.jobs import raster, world

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=20_000)
AXE = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"
WANTED = os.environ.get("COREMACHINE_UPDATE_SCREENSHOTS")
LARGEST = 150_000


@pytest_asyncio.fixture(loop_scope="session")
async def failed(machine: AsyncCoreMachine, site_url: str) -> str:
    """The id of a failed job; the same for all tests."""
    assert site_url
    world.failing = {9}
    job = await machine.submit(raster, size=12, name="dem.npz")
    await until_status(machine, job.id, "failed")
    return job.id


async def test_f34_a_job_of_ten_thousand_tasks_is_summarized_and_opened_page_by_page(page: Page) -> None:
    await page.goto(f"/jobs/{BIG}")
    await expect(page.locator("#lane-2 .histogram")).to_be_visible()
    assert await page.locator("#lane-2 .row").count() < 30
    assert await page.locator(".event").count() < 250
    assert await page.locator("*").count() < 3_000
    await expect(page.locator("#lane-2 .row", has_text="failed").first).to_be_visible()
    await expect(page.locator("#lane-2 .row", has_text="slowest").first).to_be_visible()
    await page.get_by_role("link", name="all 10\u202f000 tasks").click()
    await expect(page.locator("#lane-2 .row")).to_have_count(50)
    await page.get_by_role("link", name="More tasks").click()
    await expect(page.locator("#t52")).to_be_visible()
    await expect(page.locator("#t51")).to_have_count(0)
    await page.reload()
    await expect(page.locator("#t52")).to_be_visible()
    assert BIG_TASKS == 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_violation(browser: Browser, site_url: str, failed: str, scheme: str) -> None:
    context = await browser.new_context(base_url=site_url, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type] # one of the two
    page = await context.new_page()
    found: list[str] = []
    for path in ("/jobs", f"/jobs/{failed}?task=11&level=all", f"/jobs/{BIG}", "/lifecycles/task", "/health", "/login"):
        await page.goto(path)
        await page.evaluate(AXE)
        result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            f"{path}: {one['id']} {one['impact']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for one in result["violations"]
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"][:3]
        ]
    await context.close()
    assert found == []


async def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, site_url: str, failed: str) -> None:
    context = await browser.new_context(base_url=site_url, viewport={"width": 390, "height": 844}, has_touch=True)
    page = await context.new_page()
    for path in ("/jobs", f"/jobs/{failed}?task=11", f"/jobs/{BIG}", "/lifecycles/job", "/health"):
        await page.goto(path)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{path} is {wide} wide"
    await context.close()


async def test_one_failure_among_ten_thousand_is_visible(page: Page) -> None:
    await page.goto(f"/jobs/{BIG}")
    await expect(page.locator("#lane-2 .failures .marker")).to_have_count(1)
    await expect(page.locator("#lane-2 .failures")).to_have_attribute("aria-label", "Failures: 1")


async def test_on_a_phone_each_health_value_has_its_heading(browser: Browser, site_url: str) -> None:
    context = await browser.new_context(base_url=site_url, viewport={"width": 390, "height": 844}, has_touch=True)
    page = await context.new_page()
    await page.goto("/health")
    seen = page.locator("tr", has_text="outbox age").locator("td").nth(1)
    heading = await seen.evaluate("cell => getComputedStyle(cell, '::before').content")
    await context.close()
    assert heading == '"Result"'


async def test_on_a_phone_the_times_on_the_axis_do_not_overlap(browser: Browser, site_url: str) -> None:
    context = await browser.new_context(base_url=site_url, viewport={"width": 390, "height": 844}, has_touch=True)
    page = await context.new_page()
    await page.goto(f"/jobs/{TYPICAL}")
    boxes = [box for tick in await page.locator(".tick:visible").all() if (box := await tick.bounding_box())]
    await context.close()
    assert len(boxes) > 1
    assert all(one["x"] + one["width"] < next_one["x"] for one, next_one in pairwise(boxes))


async def test_the_printed_page_has_no_buttons(page: Page, failed: str) -> None:
    await page.goto(f"/jobs/{failed}")
    await page.emulate_media(media="print")
    for hidden in (".actions", ".zoom", ".tools", "nav"):
        await expect(page.locator(hidden).first).to_be_hidden()
    await expect(page.locator("#events .error-here")).to_be_visible()


async def test_the_page_works_without_scripts(browser: Browser, site_url: str, failed: str) -> None:
    context = await browser.new_context(base_url=site_url, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"/jobs/{failed}")
    await expect(page.locator("#verdict")).to_contain_text("Failed in stage 2 of 3")
    await page.locator("#t11").click()
    await expect(page.locator("#task")).to_contain_text("frame_of_ours")
    await context.close()


SHOTS = {
    "job-light": ("light", {"width": 1180, "height": 1240}, TYPICAL),
    "job-dark": ("dark", {"width": 1180, "height": 1240}, TYPICAL),
    "phone": ("light", {"width": 390, "height": 1560}, TYPICAL),
    "big": ("light", {"width": 1180, "height": 1100}, BIG),
    "jobs": ("light", {"width": 1180, "height": 520}, None),
}


@pytest.mark.parametrize("name", SHOTS)
async def test_the_screenshots_in_the_docs_can_be_made(
    browser: Browser, site_url: str, failed: str, tmp_path: Path, name: str
) -> None:
    scheme, size, which = SHOTS[name]
    context: BrowserContext = await browser.new_context(
        base_url=site_url,
        viewport=size,  # type: ignore[arg-type] # width and height
        color_scheme=scheme,  # type: ignore[arg-type] # one of the two
        timezone_id="UTC",
    )
    page = await context.new_page()
    assert failed
    await page.goto(f"/jobs/{which}" if which else "/jobs")
    await expect(page.locator("#stream")).to_have_text("Live")
    place = (PICTURES if WANTED else tmp_path) / f"{name}.png"
    place.parent.mkdir(exist_ok=True)
    await page.screenshot(path=place)
    await context.close()
    assert 5_000 < place.stat().st_size < LARGEST
    assert (PICTURES / f"{name}.png").exists(), "make them: COREMACHINE_UPDATE_SCREENSHOTS=1"

"""Hostile requests: none causes a 500, and none injects a script."""

from urllib.parse import quote

import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.web import Access, create_site
from tests.databases import OpenApp
from tests.observing import rewrite
from tests.running import work
from tests.web.jobs import raster, world
from tests.web.site import client

SUBMIT = "/api/platform/submit"
SCRIPT = "<script>alert(1)</script>"
BREAKING = f"""</title></pre></textarea>{SCRIPT}"'><img src=x onerror=alert(1)>{{{{7*7}}}}"""
TEXTS = [
    SCRIPT,
    BREAKING,
    "'; DROP TABLE app.jobs; --",
    "%s %(x)s {0} ${jndi:ldap://x}",
    "\u202egnp.exe",
    "line\r\nSet-Cookie: a=b",
    "%",
    "_",
    "\\",
    "../../../../etc/passwd",
    "x" * 200,
    "👩‍🚀" * 40,
]


@task
def named(name: str) -> str:
    """Fail with the given text."""
    raise ValueError(name)


hostile = Job("hostile", [Stage("named", named)])


@pytest.mark.parametrize("text", TEXTS)
async def test_a_text_comes_back_as_text_wherever_it_is_shown(open_app: OpenApp, text: str) -> None:
    app = await open_app(hostile)
    async with client(create_site(app, Access()), accept="text/html") as web:
        asked = {"job_type": hostile.name, "parameters": {"name": text}, "key": text}
        made = await web.post(SUBMIT, json=asked)
        assert made.status_code == 202, made.text
        job_id = made.json()["job_id"]
        await work(app)
        # no declaration allows such a name, but another program may have written one
        await rewrite(app, f"UPDATE app.jobs SET job_type = '{SCRIPT}'")  # noqa: S608 - ours
        await rewrite(app, f"UPDATE app.stages SET name = '{SCRIPT}'")  # noqa: S608 - ours
        for path in (
            f"/jobs?text={quote(text)}",
            f"/jobs?type={quote(text[:100])}",
            f"/jobs/{job_id}?text={quote(text)}&level=all",
            f"/jobs/{job_id}?task=1",
            f"/jobs/{job_id}/tasks/1",
        ):
            page = await web.get(path)
            assert page.status_code == 200, path
            assert "<script>alert" not in page.text
            assert "onerror=alert(1)>" not in page.text.replace("&gt;", "").replace("&#34;", "")
            assert "set-cookie" not in page.headers
        job = (await web.get(f"/api/jobs/{job_id}")).json()
    assert (job["parameters"], job["submission_key"], job["status"]) == ({"name": text}, text, "failed")
    assert job["error"]["message"].startswith(text[:50])


BODIES: list[tuple[bytes, int]] = [
    (b"", 422),
    (b"null", 422),
    (b"[]", 422),
    (b'"text"', 422),
    (b"{", 422),
    (b"\xff\xfe", 422),
    (b'{"job_type": 7}', 422),
    (b'{"job_type": ""}', 422),
    (b'{"job_type": "raster", "more": 1}', 422),
    (b'{"job_type": "raster", "parameters": []}', 422),
    (b'{"job_type": "raster", "parameters": {"size": NaN}}', 422),
    (b'{"job_type": "raster", "parameters": {"size": 1e400}}', 422),
    (b'{"job_type": "raster", "parameters": {"size": 99999999999999999999}}', 400),
    (b'{"job_type": "raster", "parameters": {"size": true}}', 422),
    (b'{"job_type": "raster", "parameters": {"size": 1, "name": "\\ud800"}}', 422),
    (b'{"job_type": "raster", "parameters": {"size": 1}, "key": "\\u0000"}', 422),
    (b'{"job_type": "raster", "parameters": {"size": 1}, "key": "' + b"k" * 201 + b'"}', 422),
    (b'{"job_type": "\\u0000"}', 422),
    (b'{"job_type": "raster", "parameters": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}", 400),
]


@pytest.mark.parametrize(("body", "expected"), BODIES, ids=range(len(BODIES)))
async def test_an_invalid_body_is_rejected_and_creates_no_job(open_app: OpenApp, body: bytes, expected: int) -> None:
    app = await open_app(raster)
    async with client(create_site(app, Access()), content_type="application/json") as web:
        answer = await web.post(SUBMIT, content=body)
    assert answer.status_code == expected, answer.text[:500]
    assert set(answer.json()) == {"what", "where", "remedy", "parameters"}
    assert await app.list_jobs() == []


REQUESTS: list[tuple[str, set[int]]] = [
    ("/api/jobs/zz", {422}),
    ("/api/jobs/%00", {422}),
    ("/api/jobs/" + "a" * 65, {422}),
    ("/api/jobs/AB", {422}),
    ("/api/jobs/..%2f..%2fetc", {404, 422}),
    ("/api/jobs/abc%27%20OR%201=1", {422}),
    ("/api/jobs/a/tasks/0", {422}),
    ("/api/jobs/a/tasks/-1", {422}),
    ("/api/jobs/a/tasks/99999999999999999999", {422}),
    ("/api/jobs/a/tasks/1e3", {422}),
    ("/api/jobs/a/events?after=AAAA", {404, 422}),
    ("/api/jobs?limit=0", {422}),
    ("/api/jobs?limit=501", {422}),
    ("/api/jobs?limit=1;drop", {422}),
    ("/api/jobs?status=lost", {422}),
    ("/api/jobs?colour=red", {422}),
    ("/api/jobs?text=%00", {422}),
    ("/api/jobs?text=" + "x" * 201, {422}),
    ("/api/jobs?after=zz", {422}),
    ("/api/jobs?after=WzEsMl0", {422}),
    ("/api/jobs?after=WyIyMDI2LTAxLTAxIiwgImEiXQ", {422}),
    ("/api/jobs?since=yesterday", {422}),
    ("/api/jobs?since=0001-01-01T00:00:00%2B14:00", {422}),
    ("/api/jobs?since=2026-01-01T00:00:00", {422}),
    ("/api/jobs?since=999999999999999", {422}),
    ("/jobs?status=lost", {422}),
    ("/api/lifecycles/nothing.svg", {404}),
    ("/api/lifecycles/..%2f..%2fsecret.svg", {404}),
    ("/lifecycles/" + quote(SCRIPT, safe=""), {404}),
    ("/lifecycles/job?state=" + quote(SCRIPT), {200}),
    ("/static/../job.py", {404}),
    ("/static/..%2fjob.py", {404}),
    ("/static/%2e%2e/rendering.py", {404}),
    ("/jobs/" + quote(SCRIPT), {404, 422}),
    ("/" + quote(SCRIPT), {404}),
    ("/login?next=//evil.example", {200}),
    ("/api/jobs?status=&type=&since=&until=&text=&after=", {200}),
    ("/jobs?status=&type=&since=&until=&text=&after=", {200}),
]


@pytest.mark.parametrize(("path", "expected"), REQUESTS, ids=[path[:60] for path, _ in REQUESTS])
async def test_an_invalid_url_parameter_is_rejected(open_app: OpenApp, path: str, expected: set[int]) -> None:
    app = await open_app(raster)
    async with client(create_site(app, Access())) as web:
        plain, page = await web.get(path), await web.get(path, headers={"accept": "text/html"})
    assert plain.status_code in expected, plain.text
    assert page.status_code in expected, page.text
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "query",
    ["zoom=1", "zoom=9~1", "zoom=1~1", "zoom=NaN~1", "zoom=1e9~2e9", "zoom=-1~" + "9" * 40, "open=0", "rows=-1"],
)
async def test_an_invalid_view_is_rejected(open_app: OpenApp, query: str) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    async with client(create_site(app, Access())) as web:
        assert (await web.get(f"/jobs/{job.id}?{query}")).status_code == 422
        assert (await web.get(f"/jobs/{job.id}?zoom=-999999999~999999999")).status_code == 200


async def test_an_error_message_with_a_script_is_shown_as_text(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing, world.message = {1}, BREAKING
    job = await app.submit(raster, size=2)
    await work(app)
    async with client(create_site(app, Access())) as web:
        for path in ("/jobs", f"/jobs/{job.id}?task=3", f"/jobs/{job.id}/tasks/3"):
            page = (await web.get(path)).text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
            assert SCRIPT not in page

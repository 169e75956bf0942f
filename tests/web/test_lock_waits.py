"""An action on the pages, or over HTTP, that waits for a lock is answered in time, and names who holds it."""

import pytest

from coremachine.runtime.web import create_site
from tests.databases import OpenApp
from tests.web.jobs import raster
from tests.web.site import OPERATOR, TOKENS, VIEWER, client

MODULES = ("flow.cancel", "app.async_app", "web.api.queries")
HELD = "SELECT 'a secret' FROM app.jobs FOR UPDATE"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests give up early."""
    for module in MODULES:
        monkeypatch.setattr(f"coremachine.runtime.{module}.PATIENCE_SECONDS", 1.5)


async def test_a_cancellation_over_http_names_the_holder_of_the_lock(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    site = create_site(app, TOKENS)
    async with await app.database.connection("holder") as holder, holder.transaction():
        await holder.execute(HELD.encode())
        named = f"process {holder.info.backend_pid} (user "
        async with client(site, peer="203.0.113.7", authorization=f"Bearer {OPERATOR}") as web:
            answer = await web.post(f"/api/jobs/{job.id}/cancel")
            page = await web.post(f"/jobs/{job.id}/cancel", headers={"accept": "text/html"})
    assert answer.status_code == page.status_code == 503
    problem = answer.json()
    assert named in problem["what"]
    assert HELD in problem["what"]
    assert problem["where"] == "the database"
    assert named in page.text
    assert (await app.job(job.id))["status"] == "queued"


async def test_a_viewer_does_not_see_the_query_of_the_holder(open_app: OpenApp) -> None:
    app = await open_app(raster)
    site = create_site(app, TOKENS)
    async with await app.database.connection("holder") as holder, holder.transaction():
        named = f"process {holder.info.backend_pid} (user "
        await holder.execute(b"LOCK TABLE app.jobs")
        await holder.execute(b"SELECT 'a secret'")
        async with client(site, peer="203.0.113.7", authorization=f"Bearer {VIEWER}") as web:
            answer = await web.get("/api/jobs")
    assert answer.status_code == 503
    assert named in answer.json()["what"]
    assert "secret" not in answer.text

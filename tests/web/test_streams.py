"""Events as they come: each once, from where a reader had come to, and live."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg

from coremachine.runtime.web import Access, create_site
from tests.databases import OpenApp
from tests.observing import events_of
from tests.running import work, working
from tests.web.jobs import GIVEN, RETURNED, TRACED, raster, world
from tests.web.site import TOKENS, VIEWER, served

LONGEST = 30.0


async def messages(web: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[dict[str, str]]:
    """What a stream tells, message by message, without its beats."""
    message: dict[str, str] = {}
    async with web.stream("GET", path, headers={"accept": "text/event-stream", **headers}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                message[name] = value.strip()
            else:
                if message.get("event") in {"job_event", "changed"}:
                    yield message
                message = {}


async def take(stream: AsyncIterator[dict[str, str]], number: int) -> list[dict[str, str]]:
    """The next messages of a stream."""
    taken: list[dict[str, str]] = []
    async with asyncio.timeout(LONGEST):
        while len(taken) < number:
            taken.append(await anext(stream))
    return taken


def ids_of(told: list[dict[str, str]]) -> list[int]:
    """The ids of the events that were told."""
    return [json.loads(message["data"])["event_id"] for message in told]


async def first_told(web: httpx.AsyncClient, path: str) -> list[str]:
    """The types of the events that a new stream tells first, all that there are for it at once."""
    async with asyncio.timeout(LONGEST), web.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        async for part in answer.aiter_text():
            if "event: job_event" in part:
                lines = [line.removeprefix("data:") for line in part.splitlines() if line.startswith("data: {")]
                return [json.loads(line)["type"] for line in lines]
    return []


async def test_a_stream_tells_each_event_once_and_goes_on_after_the_last_one_had(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.gate.clear()
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web, working(app):
        job = await app.submit(raster, size=4)
        path = f"/api/jobs/{job.id}/events"
        stream = messages(web, path)
        first = await take(stream, 5)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        # the stream is lost, and meanwhile the job goes on
        world.gate.set()
        stream = messages(web, path, **{"last-event-id": first[-1]["id"]})
        rest: list[dict[str, str]] = []
        while not rest or json.loads(rest[-1]["data"])["type"] != "job_completed":
            rest += await take(stream, 1)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        written = [event["event_id"] for event in await events_of(app, job.id)]
    assert sorted(ids_of(first + rest)) == written


async def test_f41_a_stream_waits_for_an_event_that_took_its_id_early_and_committed_late(
    open_app: OpenApp, url: str
) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    tell = (
        "INSERT INTO app.job_events (job_id, event_type, event_status, event_data)"
        " VALUES (%s, 'checkpoint', 'info', jsonb_build_object('name', %s::text))"
    )
    async with served(create_site(app, Access())) as address, httpx.AsyncClient(base_url=address) as web:
        path = f"/api/jobs/{job.id}/events"
        stream = messages(web, path)
        await take(stream, 2)
        with psycopg.connect(url) as early, psycopg.connect(url) as late:
            early.execute(tell, (job.id, "early"))
            late.execute(tell, (job.id, "late"))
            late.commit()
            assert await first_told(web, path) == ["job_created", "job_queued"]
            early.commit()
        told = await take(stream, 2)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    names = [json.loads(message["data"])["data"]["name"] for message in told]
    assert names == ["early", "late"]


async def test_a_viewers_stream_holds_nothing_of_the_operators(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.failing = {1}
    job = await app.submit(raster, size=2)
    await work(app)
    written = await events_of(app, job.id)
    assert TRACED in str(written)
    async with (
        served(create_site(app, TOKENS)) as url,
        httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {VIEWER}"}) as web,
    ):
        stream = messages(web, f"/api/jobs/{job.id}/events")
        told = await take(stream, len(written))
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        refused = await web.get(
            f"/api/jobs/{job.id}/events", headers={"authorization": "", "accept": "text/event-stream"}
        )
    assert not [secret for secret in (GIVEN, RETURNED, TRACED) if secret in str(told)]
    assert refused.status_code == 401


async def test_the_list_of_jobs_hears_that_something_has_happened(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web:
        stream = messages(web, "/api/changes")
        heard = asyncio.create_task(take(stream, 1))
        while not heard.done():
            await app.submit(raster, size=len(await app.list_jobs()))
            await asyncio.wait({heard}, timeout=0.2)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    assert (await heard)[0]["event"] == "changed"


async def test_a_mark_that_is_none_is_refused(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    asked: dict[str, Any] = {"accept": "text/event-stream"}
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web:
        for mark in ("17", "a-b", "-1-2", "9" * 30 + "-1", "1-1;drop"):
            answer = await web.get(f"/api/jobs/{job.id}/events", headers={**asked, "last-event-id": mark})
            assert (answer.status_code, answer.json()["where"]) == (422, "Last-Event-ID"), mark


async def test_a_server_that_stops_lets_go_of_its_streams(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    async with asyncio.timeout(LONGEST), httpx.AsyncClient() as web:
        async with served(create_site(app, Access())) as url:
            stream = messages(web, f"{url}/api/jobs/{job.id}/events")
            await take(stream, 2)
        assert [message async for message in stream] == []

"""Live event streams: each event once, resumed after a lost connection."""

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
    """The messages of a stream, without heartbeats."""
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


def ids_of(received: list[dict[str, str]]) -> list[int]:
    """The ids of the events in these messages."""
    return [json.loads(message["data"])["event_id"] for message in received]


async def first_types(web: httpx.AsyncClient, path: str) -> list[str]:
    """The event types in the first part of a new stream."""
    async with asyncio.timeout(LONGEST), web.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        async for part in answer.aiter_text():
            if "event: job_event" in part:
                lines = [line.removeprefix("data:") for line in part.splitlines() if line.startswith("data: {")]
                return [json.loads(line)["type"] for line in lines]
    return []


async def test_a_stream_sends_each_event_once_and_resumes_after_the_last_one_received(open_app: OpenApp) -> None:
    app = await open_app(raster)
    world.gate.clear()
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web, working(app):
        job = await app.submit(raster, size=4)
        path = f"/api/jobs/{job.id}/events"
        stream = messages(web, path)
        first = await take(stream, 5)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        # the stream is lost, and the job continues meanwhile
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
    insert = (
        "INSERT INTO app.job_events (job_id, event_type, event_status, event_data)"
        " VALUES (%s, 'checkpoint', 'info', jsonb_build_object('name', %s::text))"
    )
    async with served(create_site(app, Access())) as address, httpx.AsyncClient(base_url=address) as web:
        path = f"/api/jobs/{job.id}/events"
        stream = messages(web, path)
        await take(stream, 2)
        with psycopg.connect(url) as early, psycopg.connect(url) as late:
            early.execute(insert, (job.id, "early"))
            late.execute(insert, (job.id, "late"))
            late.commit()
            assert await first_types(web, path) == ["job_created", "job_queued"]
            early.commit()
        received = await take(stream, 2)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    names = [json.loads(message["data"])["data"]["name"] for message in received]
    assert names == ["early", "late"]


async def test_a_viewers_stream_has_no_data_for_operators(open_app: OpenApp) -> None:
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
        received = await take(stream, len(written))
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        refused = await web.get(
            f"/api/jobs/{job.id}/events", headers={"authorization": "", "accept": "text/event-stream"}
        )
    assert not [secret for secret in (GIVEN, RETURNED, TRACED) if secret in str(received)]
    assert refused.status_code == 401


async def test_the_stream_of_changes_signals_a_new_event(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web:
        stream = messages(web, "/api/changes")
        received = asyncio.create_task(take(stream, 1))
        while not received.done():
            await app.submit(raster, size=len(await app.list_jobs()))
            await asyncio.wait({received}, timeout=0.2)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
    assert (await received)[0]["event"] == "changed"


async def test_an_invalid_cursor_of_a_stream_is_rejected(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    asked: dict[str, Any] = {"accept": "text/event-stream"}
    async with served(create_site(app, Access())) as url, httpx.AsyncClient(base_url=url) as web:
        for cursor in ("17", "a-b", "-1-2", "9" * 30 + "-1", "1-1;drop"):
            answer = await web.get(f"/api/jobs/{job.id}/events", headers={**asked, "last-event-id": cursor})
            assert (answer.status_code, answer.json()["where"]) == (422, "Last-Event-ID"), cursor


async def test_a_server_that_stops_ends_its_streams(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    async with asyncio.timeout(LONGEST), httpx.AsyncClient() as web:
        async with served(create_site(app, Access())) as url:
            stream = messages(web, f"{url}/api/jobs/{job.id}/events")
            await take(stream, 2)
        assert [message async for message in stream] == []

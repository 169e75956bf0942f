"""The OpenAPI document is complete, and schemathesis checks the API against it."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from coremachine import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from coremachine.runtime.web import Access, create_site
from tests.running import work
from tests.web.jobs import raster
from tests.web.site import served

EXAMPLES = 8
UNSAYABLE: list[Any] = [cast("Any", checks).positive_data_acceptance]
STREAMS = {"/api/changes"}


@pytest.fixture
def address(url: str) -> Generator[str]:
    """A served site with one finished job, on its own event loop: schemathesis is not asynchronous."""
    ready: Future[str] = Future()
    with _thread(url, ready):
        yield ready.result(timeout=60)


@contextmanager
def _thread(url: str, ready: "Future[str]") -> Generator[None]:
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with AsyncCoreMachine(url, jobs=[raster], settings=Settings(poll=0.2)) as app:
            await app.submit(raster, size=2)
            await work(app)
            async with served(create_site(app, Access())) as address:
                ready.set_result(address)
                await over.wait()

    def run_and_close() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=run_and_close)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::Warning")
def test_schemathesis_finds_no_response_that_is_not_documented(address: str) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{address}/api/openapi.json", config=SchemathesisConfig())
    tried: set[str] = set()
    for result in schema.get_all_operations():
        operation: Any = result.ok()
        if operation.path in STREAMS:
            continue
        tried.add(operation.label)

        @seeded(20_261_120)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        def hold(case: Any) -> None:
            # which cursors, job types and parameters are valid depends on the data, and a schema cannot say it
            case.call_and_validate(timeout=30, excluded_checks=UNSAYABLE)

        bind: Any = given
        bind(operation.as_strategy())(hold)()
    assert len(tried) >= 14


async def test_every_operation_has_a_description_and_each_body_an_example(url: str) -> None:
    async with AsyncCoreMachine(url) as app:
        document = create_site(app, Access()).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), (method, path)
            for parameter in operation.get("parameters", []):
                assert parameter.get("description") or parameter["schema"].get("description"), (path, parameter["name"])
    for name, body in document["components"]["schemas"].items():
        if (
            name in document["components"]["schemas"]
            and "properties" in body
            and name.endswith(("Page", "Detail", "Request", "Response"))
        ):
            assert body.get("description"), name
    for name in (
        "SubmitRequest",
        "SubmitResponse",
        "JobPage",
        "JobDetail",
        "TaskDetail",
        "EventPage",
        "DiagnosisResponse",
        "Problem",
    ):
        assert document["components"]["schemas"][name]["example"], name


def test_the_document_is_served(address: str) -> None:
    assert httpx.get(f"{address}/api/openapi.json").json()["info"]["title"] == "CoreMachine"

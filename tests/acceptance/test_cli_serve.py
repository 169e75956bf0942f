"""`coremachine serve` and `demo --serve`, as processes."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.acceptance.commands import COMMAND, JOBS, environment, error_of, line_with, run, started

SECRET = "an-operator-of-long-standing"  # noqa: S105 - of this test alone


def get(url: str, **headers: str) -> Any:
    """The body of an answer. Raises HTTPError, closed."""
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as answer:  # noqa: S310 - ours
            return answer.read().decode()
    except HTTPError as refused:
        refused.close()
        raise


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_url_and_ends_at_a_signal(url: str, number: signal.Signals) -> None:
    with started("serve", "--port", "0", "--app", str(JOBS), url=url) as server:
        line = line_with(server.stdout, "Serving on ")
        address = line.split()[-1]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        assert json.loads(get(f"{address}/readyz"))["ready"] is True
        assert "No jobs yet" in get(f"{address}/jobs", accept="text/html")
        # an open stream does not prevent that
        changes = Request(f"{address}/api/changes", headers={"accept": "text/event-stream"})  # noqa: S310 - ours
        with urlopen(changes, timeout=30) as stream:  # noqa: S310 - ours
            assert stream.readline()
            server.send_signal(number)
            assert server.wait(timeout=30) == (130 if number == signal.SIGINT else 0)


def test_serve_refuses_an_address_that_anyone_can_reach_unless_it_asks_who_they_are(url: str) -> None:
    message = error_of("serve", "--host", "0.0.0.0", "--port", "0", url=url)  # noqa: S104 - it is refused
    assert message.startswith("refusing to serve on 0.0.0.0 without authentication")
    assert "COREMACHINE_WEB_TOKENS" in message
    short = error_of("serve", "--host", "0.0.0.0", url=url, COREMACHINE_WEB_TOKENS="ada:operator:short")  # noqa: S104
    assert "shorter than 20 characters" in short
    tokens = f"ada:operator:{SECRET}"
    with started("serve", "--host", "0.0.0.0", "--port", "0", url=url, COREMACHINE_WEB_TOKENS=tokens) as server:  # noqa: S104
        port = line_with(server.stdout, "Serving on ").strip().rpartition(":")[2]
        address = f"http://127.0.0.1:{port}/api/jobs"
        with pytest.raises(HTTPError, match="401"):
            get(address)
        assert json.loads(get(address, authorization=f"Bearer {SECRET}")) == {"jobs": [], "next": None}
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def test_an_address_that_is_taken_is_an_error(url: str) -> None:
    with started("serve", "--port", "0", url=url) as server:
        port = line_with(server.stdout, "Serving on ").strip().rpartition(":")[2]
        message = error_of("serve", "--port", port, url=url)
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}: ")


def test_the_failing_demo_shows_its_page_until_ctrl_c(url: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--fail", "--serve"],
        env=environment(url),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            address = line_with(process.stdout, "Watch it here").split()[-1]
            line_with(process.stdout, "What failed:")
            page = get(address, accept="text/html")
            text = re.sub(r"<[^>]+>", "", page)
            assert re.search(r"Failed in stage 3 of 4, hillshade: task \d+, attempt 2 of 2", text)
            assert "lies outside the raster of 344 by 403 cells" in page
            assert re.search(r"Last successful</dt><dd>\s*<a[^>]*>task_", page)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def without_web(tmp_path: Path) -> str:
    """A PYTHONPATH on which what the extra web brings cannot be imported."""
    for name in ("fastapi", "starlette", "uvicorn", "jinja2", "prometheus_client"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no', name='{name}')\n")
    return str(tmp_path)


def test_without_the_extra_web_all_else_works(url: str, without_web: str, tmp_path: Path) -> None:
    there = environment(url)["PYTHONPATH"]
    path = f"{without_web}:{there}"
    run("submit", "sums", "first=2", "--app", str(JOBS), url=url, PYTHONPATH=path)
    run("worker", "--until-idle", "--app", str(JOBS), url=url, PYTHONPATH=path)
    assert "completed" in run("jobs", url=url, PYTHONPATH=path).stdout
    for arguments in (("serve",), ("demo", "--serve")):
        message = error_of(*arguments, url=url, cwd=tmp_path, PYTHONPATH=path)
        assert message == "the pages: fastapi is not installed; run pip install 'coremachine[web]'"

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from coremachine.diagrams.timeline import Timeline, TimelineEvent, first_failure
from coremachine.diagrams.timeline_text import render_timeline
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.cli.follow import EndDetector, TimelineLines
from tests.acceptance.commands import COMMAND, environment, error_of, line_with, run, run_json, started
from tests.acceptance.declared_jobs import failing, sums, thanked
from tests.databases import OpenApp

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


async def ended_job(app: AsyncCoreMachine) -> str:
    submitted = await app.submit(failing, count=3)
    await app.work(until_idle=True)
    return submitted.id


async def test_it_prints_the_timeline_and_nothing_else(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job = await ended_job(app)
    assert run("timeline", job[:8], "--utc", url=url).stdout == await app.timeline(job, tz=UTC) + "\n"
    everything = run("timeline", job, "--all", "--utc", url=url).stdout
    assert everything == await app.timeline(job, everything=True, tz=UTC) + "\n"
    assert "← ERROR HERE" in everything
    assert "job_started" in everything


async def test_times_are_local_unless_utc_is_asked_for(url: str, open_app: OpenApp) -> None:
    job = await ended_job(await open_app(failing))
    utc = run("timeline", job, "--utc", url=url, TZ="Asia/Kolkata").stdout.splitlines()
    local = run("timeline", job, url=url, TZ="Asia/Kolkata").stdout.splitlines()
    assert local == run("timeline", job, url=url, TZ="IST-5:30").stdout.splitlines()
    assert local != utc
    hour, minute = (int(part) for part in utc[2][:5].split(":"))
    assert local[2][:5] == f"{(hour * 60 + minute + 330) // 60 % 24:02d}:{(minute + 30) % 60:02d}"


async def test_as_json_it_holds_the_same_events(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job = await ended_job(app)
    output = run_json("timeline", job, "--json", "--utc", url=url)
    assert output == json.loads(json.dumps(await app.timeline_data(job, tz=UTC), default=str))
    assert output["first_failure"]["type"] == "task_failed"


async def test_colour_on_a_terminal_never_changes_the_text(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job = await ended_job(app)
    shown = await asyncio.to_thread(on_a_terminal, "timeline", job, "--utc", url=url)
    assert "\x1b[32m●" in shown
    assert "\x1b[31m✗" in shown
    assert ESCAPES.sub("", shown).replace("\r\n", "\n") == await app.timeline(job, tz=UTC) + "\n"
    plain = await asyncio.to_thread(on_a_terminal, "timeline", job, "--utc", url=url, NO_COLOR="1")
    assert "\x1b" not in plain


def on_a_terminal(*arguments: str, url: str, **more: str) -> str:
    """What a command prints to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *arguments], env=environment(url, **more), stdout=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other end is closed
        return b""


@pytest.mark.parametrize("everything", [(), ("--all",)])
async def test_a_follower_sees_the_whole_timeline_of_a_job_that_runs(
    url: str, open_app: OpenApp, everything: tuple[str, ...]
) -> None:
    app = await open_app(failing, concurrency=1)
    job = (await app.submit(failing, count=3)).id
    with started("timeline", job, "--follow", "--utc", *everything, url=url) as follower:
        assert follower.stdout is not None
        first = await asyncio.to_thread(line_with, follower.stdout, "job_queued")
        await app.work(until_idle=True)
        rest = await asyncio.to_thread(follower.stdout.read)
        assert follower.wait() == 0
    whole = await app.timeline(job, everything=bool(everything), tz=UTC) + "\n"
    assert first + rest == whole[whole.index(first) :]


async def test_a_follower_waits_for_the_callback_that_is_owed(url: str, open_app: OpenApp) -> None:
    app = await open_app(thanked)
    job = (await app.submit(thanked, first=1)).id
    await app.work(until_idle=True)
    output = run("timeline", job, "--follow", "--utc", url=url).stdout
    assert output == await app.timeline(job, tz=UTC) + "\n"
    assert "callback_executed" in output


async def test_following_as_json_prints_one_event_a_line(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = (await app.submit(sums, first=1)).id
    await app.work(until_idle=True)
    events = [json.loads(line) for line in run("timeline", job, "--follow", "--json", url=url).stdout.splitlines()]
    listed = await app.timeline_data(job, tz=UTC)
    assert [event["event_id"] for event in events] == [event["event_id"] for event in listed["events"]]  # type: ignore[attr-defined]


async def test_ctrl_c_ends_a_follower_with_130(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = (await app.submit(sums, first=1)).id
    with started("timeline", job, "--follow", url=url) as follower:
        await asyncio.to_thread(line_with, follower.stdout, "job_queued")
        follower.send_signal(signal.SIGINT)
        _, output = follower.communicate()
        assert (follower.returncode, output) == (130, "")


def test_an_unknown_id_is_an_error_with_a_remedy(url: str) -> None:
    assert error_of("timeline", "abcabc", url=url) == "no job has the id abcabc; `coremachine jobs` lists them"
    assert error_of("timeline", "abcabc", "--follow", url=url).startswith("no job has the id abcabc")


async def test_an_ambiguous_prefix_is_an_error_that_lists_the_ids(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    ids = [(await app.submit(sums, first=first)).id for first in range(17)]
    digits = [one[0] for one in ids]
    shared = next(digit for digit in digits if digits.count(digit) > 1)
    output = error_of("timeline", shared, url=url)
    assert output.startswith(f"{shared} is the prefix of {digits.count(shared)} job ids: ")
    assert output.endswith("; give more characters")


async def test_a_reader_that_goes_away_is_no_error(url: str, open_app: OpenApp) -> None:
    job = await ended_job(await open_app(failing))
    with started("timeline", job, url=url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in await asyncio.to_thread(process.stderr.read)


def test_batches_of_events_make_the_lines_of_the_whole() -> None:
    kinds = ["job_created", "stage_started", "stage_failed", "task_failed", "task_cancelled", "job_failed"]
    status = dict.fromkeys(("stage_failed", "task_failed", "job_failed"), "failure") | {"task_cancelled": "warning"}
    evening = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)
    events = [
        TimelineEvent(
            event_id=i, type=kind, status=status.get(kind, "success"), at=evening + timedelta(seconds=i), stage=1
        )
        for i, kind in enumerate(kinds)
    ]
    whole = Timeline(job_id="", short_id="", job_type="", events=events, first_failure=first_failure(events))
    for everything in (False, True):
        lines = TimelineLines(UTC, everything)
        followed = [line for event in events for line in lines.of([event])]
        assert followed == render_timeline(whole, tz=UTC, show_all=everything).split("\n")[2:-2]
        assert "2026-02-01" in followed


def test_a_job_is_over_when_its_events_say_so_and_its_callback_has_ended() -> None:
    def over(*types: str, callback: bool = False) -> bool:
        end = EndDetector(callback=callback)
        for one in types:
            end.observe(one)
        return end.over

    assert not over("job_created", "job_started")
    assert over("job_started", "job_completed")
    assert not over("job_completed", "callback_started", "callback_retry_scheduled", callback=True)
    assert over("job_completed", "callback_completed", callback=True)
    assert over("job_failed", callback=True)
    assert not over("job_failed", "job_resumed")

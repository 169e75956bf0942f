"""The timelines of real jobs, and followers who miss nothing."""

import re
from collections.abc import Callable
from datetime import UTC
from threading import Event

import psycopg
import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.app.history import EventCursor
from coremachine.runtime.store.session import Row
from coremachine.statemachine.retry import Backoff
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.running import finished, work, working
from tests.waiting import until, until_event, until_row

PICTURE = """\
Job: abc123 - process_raster_v2
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
10:00:00  ● job_created
10:00:01  ● job_queued
10:00:05  ● stage_started (stage 1)
10:00:06  ● task_started (task-001)
10:00:15  ● task_completed (task-001)
10:00:16  ● stage_completed (stage 1)
10:00:17  ● stage_started (stage 2)
10:00:18  ● task_started (task-002)
10:01:45  ✗ task_failed (task-002)  ← ERROR HERE
10:01:46  ✗ job_failed
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
Last successful: task_started (task-002) at 10:00:18"""

FAKE_CLOCK = """
CREATE TABLE public.clock_shift (shift INTERVAL NOT NULL);
GRANT SELECT ON public.clock_shift TO PUBLIC;
INSERT INTO public.clock_shift
  SELECT date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day' - interval '0.7 s'
         - clock_timestamp() AT TIME ZONE 'UTC';
CREATE OR REPLACE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS $body$ SELECT pg_catalog.clock_timestamp() + (SELECT shift FROM public.clock_shift) $body$
"""

AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)


@task
def check(size: int) -> int:
    return size


@task
def cut(size: int) -> list[int]:
    return list(range(size))


@task
def refuse(size: int) -> int:
    raise ValueError(f"{size} is refused")


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


def pattern_of(line: str) -> str:
    """A line of the design's picture as a pattern: times, the id and the name may vary, and nothing else."""
    pattern = re.escape(line)
    pattern = re.sub(r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d", pattern)
    return pattern.replace("abc123", "[0-9a-f]{6}").replace("process_raster_v2", "[a-z0-9_]+")


def without_times(timeline: str) -> list[str]:
    """What the lines between the rules say, without their times."""
    return [line[10:] if line[2:3] == ":" else line for line in timeline.splitlines()[2:-2]]


async def test_a_failing_job_of_two_stages_has_the_timeline_of_the_design(open_app: OpenApp) -> None:
    job = Job("process_raster_v2", [Stage("check", check), Stage("refuse", refuse)])
    app = await open_app(job)
    row = await finished(app, job, size=3)
    timeline = await app.timeline(row["job_id"])
    lines, wanted = timeline.splitlines(), PICTURE.splitlines()
    assert len(lines) == len(wanted)
    for line, expected in zip(lines, wanted, strict=True):
        assert re.fullmatch(pattern_of(expected), line), f"{line!r} is not as {expected!r}"
    assert lines[0] == f"Job: {row['job_id'][:6]} - process_raster_v2"
    assert await app.timeline(row["job_id"][:8]) == timeline


async def test_a_parallel_job_lists_each_task_by_its_number(open_app: OpenApp) -> None:
    job = Job("parallel", [Stage("cut", cut), Stage("double", double, each="cut"), Stage("add", add, gather="double")])
    app = await open_app(job, concurrency=4)
    row = await finished(app, job, size=4)
    told = without_times(await app.timeline(row["job_id"]))
    assert told[:6] == [
        "● job_created",
        "● job_queued",
        "● stage_started (stage 1)",
        "● task_started (task-001)",
        "● task_completed (task-001)",
        "● stage_completed (stage 1)",
    ]
    numbers = [f"task-{number:03d}" for number in range(2, 6)]
    assert told[6] == "● stage_started (stage 2)"
    assert sorted(told[7:15]) == sorted(
        f"● task_{what} ({name})" for name in numbers for what in ("started", "completed")
    )
    assert all(told.index(f"● task_started ({n})") < told.index(f"● task_completed ({n})") for n in numbers)
    assert told[15:] == [
        "● stage_completed (stage 2)",
        "● stage_started (stage 3)",
        "● task_started (task-006)",
        "● task_completed (task-006)",
        "● stage_completed (stage 3)",
        "● job_completed",
    ]
    assert "Last successful: job_completed at" in (await app.timeline(row["job_id"])).splitlines()[-1]


async def test_a_job_with_retries_shows_each_as_a_warning(open_app: OpenApp) -> None:
    attempts: list[int] = []

    @task(retries=2, backoff=AT_ONCE)
    def third_time() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("again")

    job = Job("flaky", [Stage("try", third_time)])
    app = await open_app(job, poll=0.05)
    row = await finished(app, job)
    timeline = await app.timeline(row["job_id"])
    assert without_times(timeline)[3:-2] == [
        "● task_started (task-001)",
        "▲ task_retry_scheduled (task-001)",
        "● task_started (task-001)",
        "▲ task_retry_scheduled (task-001)",
        "● task_started (task-001)",
        "● task_completed (task-001)",
    ]
    assert "ERROR HERE" not in timeline


async def test_everything_shows_what_the_default_leaves_out(open_app: OpenApp) -> None:
    job = Job("failing", [Stage("check", check), Stage("refuse", refuse), Stage("more", check)])
    app = await open_app(job)
    row = await finished(app, job, size=3)
    shown = await app.timeline(row["job_id"], everything=True)
    told = without_times(shown)
    assert len(told) == len(await events_of(app, row["job_id"]))
    assert "● job_started" in told
    assert "✗ stage_failed (stage 2)" in told
    assert "▲ stage_cancelled (stage 3)" in told
    assert shown.count("ERROR HERE") == 1


async def test_a_job_across_midnight_shows_the_date_where_the_day_changes(open_app: OpenApp) -> None:
    job = Job("nightly", [Stage("check", check)])
    app = await open_app(job)
    await rows(app, FAKE_CLOCK)
    submitted = await app.submit(job, size=3)
    await until_row(
        app,
        "SELECT FROM app.jobs WHERE (created_at AT TIME ZONE 'UTC')::date < (app.clock() AT TIME ZONE 'UTC')::date",
    )
    await work(app)
    lines = (await app.timeline(submitted.id, tz=UTC)).splitlines()
    first, *_, last = await events_of(app, submitted.id)
    assert last["created_at"].astimezone(UTC).date() > first["created_at"].astimezone(UTC).date()
    assert [line[:8] for line in lines[2:4]] == ["23:59:59"] * 2
    assert lines[4] == last["created_at"].astimezone(UTC).date().isoformat()
    assert lines[5].startswith("00:00:0")
    assert "stage_started (stage 1)" in lines[5]
    assert sum(bool(re.fullmatch(r"\d{4}-\d\d-\d\d", line)) for line in lines) == 1


async def test_a_long_stage_is_summed_up_and_its_failures_are_listed(open_app: OpenApp) -> None:
    @task
    def refuse_one(number: int) -> int:
        if number == 150:
            raise ValueError("150 is refused")
        return number

    job = Job("long", [Stage("cut", cut), Stage("work", refuse_one, each="cut", policy="finish_siblings")])
    app = await open_app(job)
    row = await finished(app, job, size=300)
    told = without_times(await app.timeline(row["job_id"]))
    (summed,) = [line for line in told if line.startswith("… ")]
    assert summed.startswith("… 300 tasks: 300 started, 299 completed (")
    assert "✗ task_failed (task-152)  ← ERROR HERE" in told
    assert len(told) < 15


async def follow(app: AsyncCoreMachine, job_id: str, mark: EventCursor) -> tuple[list[Row], EventCursor]:
    """What a follower is given from `mark` on, page by page."""
    given: list[Row] = []
    page, mark = await app.events_after(job_id, mark)
    while page:
        given += page
        page, mark = await app.events_after(job_id, mark)
    return given, mark


async def follow_until(
    app: AsyncCoreMachine, job_id: str, mark: EventCursor, number: int
) -> tuple[list[Row], EventCursor]:
    """What a follower is given from `mark` on, until that is `number` events: others may hold it back for a while."""
    given: list[Row] = []

    async def enough() -> bool:
        nonlocal mark
        page, mark = await follow(app, job_id, mark)
        given.extend(page)
        return len(given) >= number

    await until(enough, f"{number} events of {job_id[:6]}")
    return given, mark


@pytest.fixture
def tell(url: str) -> Callable[[str], psycopg.Connection]:
    """Opens a transaction that has written a checkpoint of that name, and has not committed."""

    def begin(name: str) -> psycopg.Connection:
        connection = psycopg.connect(url)
        connection.execute(
            "INSERT INTO app.job_events (job_id, event_type, event_status, event_data, created_at)"
            " SELECT job_id, 'checkpoint', 'info', jsonb_build_object('name', %s::text), app.clock() FROM app.jobs",
            (name,),
        )
        return connection

    return begin


async def test_f41_a_follower_misses_no_event_that_took_its_id_early_and_committed_late(
    open_app: OpenApp, tell: Callable[[str], psycopg.Connection]
) -> None:
    job = Job("followed", [Stage("check", check)])
    app = await open_app(job)
    submitted = await app.submit(job, size=3)
    seen, mark = await follow_until(app, submitted.id, EventCursor(), 2)
    assert [event["event_type"] for event in seen] == ["job_created", "job_queued"]
    with tell("early, late") as early:
        with tell("late, early") as late:
            late.commit()
        meanwhile, mark = await follow(app, submitted.id, mark)
        early.commit()
    early.close()
    late.close()
    after, mark = await follow_until(app, submitted.id, mark, 2 - len(meanwhile))
    assert [event["event_data"]["name"] for event in (*meanwhile, *after)] == ["early, late", "late, early"]
    assert await follow(app, submitted.id, mark) == ([], mark)


async def test_f41_a_follower_of_a_running_job_is_given_each_event_once(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def wait_at_the_gate(number: int) -> int:
        assert gate.wait(30)
        return number

    job = Job("followed", [Stage("wait", wait_at_the_gate, each="numbers"), Stage("add", add, gather="wait")])
    app = await open_app(job)
    async with working(app):
        submitted = await app.submit(job, numbers=list(range(20)))
        await until_event(app, submitted.id, "task_started")
        before, mark = await follow(app, submitted.id, EventCursor())
        gate.set()
        await until_event(app, submitted.id, "job_completed")
        written = [event["event_id"] for event in await events_of(app, submitted.id)]
        after, _ = await follow_until(app, submitted.id, mark, len(written) - len(before))
    assert sorted(event["event_id"] for event in (*before, *after)) == written

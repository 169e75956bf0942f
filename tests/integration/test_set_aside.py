"""One row that nobody can handle stops nothing else: it is set aside, recorded, and shown with a remedy (F49, F60)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.reconciler import Reconciler
from tests.databases import OpenApp
from tests.integration.lost_worker import EXPIRE, claim_tasks, handle_messages, lose
from tests.observing import rows, tasks_of
from tests.running import finished, work, working
from tests.waiting import until_row, until_status

ORPHAN = """
INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type, item, max_rescues)
SELECT 'orphan', job_id, stage_id, stage, 7, 7, task_type, '1', 0 FROM app.stages WHERE job_id = %s AND stage = 1
"""
LARGEST = 2_147_483_647


@task
def one(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


async def told(job_id: str) -> None:
    """The callback."""
    assert job_id


SUMS = Job("sums", [Stage("each", one, each="numbers"), Stage("sum", total, gather="each")], on_job_complete=told)
OTHER = Job("other", [Stage("each", one, each="numbers")])


@asynccontextmanager
async def unguarded(app: AsyncCoreMachine) -> AsyncGenerator[psycopg.AsyncConnection[object]]:
    """A connection of the owner for which no trigger fires and no number is out of range."""
    async with await psycopg.AsyncConnection.connect(app.database.url, autocommit=True) as connection:
        await connection.execute("SET session_replication_role = replica")
        for table in ("jobs", "stages", "tasks", "callbacks"):
            await connection.execute(f"ALTER TABLE app.{table} DROP CONSTRAINT IF EXISTS {table}_in_range".encode())
        yield connection


async def with_an_orphan(app: AsyncCoreMachine) -> str:
    """A completed job with a task that was added when nothing guarded it. Returns the job's id."""
    job = await app.submit(SUMS, numbers=[1])
    await work(app)
    async with unguarded(app) as owner:
        await owner.execute(ORPHAN.encode(), (job.id,))
    return job.id


def reconciler(app: AsyncCoreMachine) -> Reconciler:
    return Reconciler(app.database, app.bus, "finder", app.settings)


async def ids(app: AsyncCoreMachine) -> list[str]:
    return [finding.id for finding in (await app.audit()).findings if finding.severity != "info"]


async def test_f49_a_task_of_a_closed_stage_is_refused_whoever_inserts_it(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await finished(app, SUMS, numbers=[1])
    async with app.database.session() as session:
        with pytest.raises(psycopg.Error, match="the row stays completed"):
            await session.connection.execute(ORPHAN.encode(), (job["job_id"],))
    with pytest.raises(psycopg.Error, match="the row stays completed"):
        await rows(app, ORPHAN, job["job_id"], repairing=False)


async def test_f49_a_task_that_nobody_can_end_stops_no_rescue(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    orphaned = await with_an_orphan(app)
    healthy = await app.submit(SUMS, numbers=[1, 2, 3], key="healthy")
    await lose(app)
    assert (await reconciler(app).run_once())["tasks_rescued"] == 3
    (aside,) = await rows(app, "SELECT step, item, job_id, times, worker FROM app.set_aside")
    assert tuple(aside.values()) == ("rescue task", "orphan", orphaned, 1, "finder")
    async with working(app):
        await until_status(app, healthy.id, "completed")
    assert {"GAP-9", "GAP-31"} <= set(await ids(app))
    why = await app.why(orphaned)
    assert why.verdict == "completed"
    assert why.waits_for[0].startswith("rescue task orphan, which failed once: stage 1: no declared change allows this")


async def test_f49_what_is_set_aside_is_left_out_and_comes_back_later_each_time(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    await with_an_orphan(app)
    await claim_tasks(app)
    await rows(app, EXPIRE)
    seconds: list[int] = []
    for _ in range(3):
        assert (await reconciler(app).run_once())["tasks_rescued"] == 0
        assert (await reconciler(app).run_once())["tasks_rescued"] == 0
        (row,) = await rows(app, "SELECT round(extract(epoch FROM until - now()))::int AS s, times FROM app.set_aside")
        seconds.append(row["s"])
        assert row["times"] == len(seconds)
        await rows(app, "UPDATE app.set_aside SET until = now()")
    assert seconds == [10, 20, 40]


async def test_f49_the_remedy_of_an_orphan_removes_it_and_keeps_what_it_was(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    orphaned = await with_an_orphan(app)
    await claim_tasks(app)
    await rows(app, EXPIRE)
    await reconciler(app).run_once()
    (repaired,) = await rows(app, "SELECT app.repair_job(%s) AS repaired", orphaned)
    assert repaired["repaired"] == 1
    await rows(app, "UPDATE app.set_aside SET until = now() - interval '61 seconds'")
    assert await ids(app) == []
    (note,) = await rows(
        app,
        "SELECT event_data FROM app.job_events WHERE event_type = 'gap_found' AND job_id = %s"
        " ORDER BY event_id DESC LIMIT 1",
        orphaned,
    )
    assert note["event_data"]["row"]["task_id"] == "orphan"


async def test_counters_of_an_open_stage_are_counted_anew_by_the_remedy(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1, 2])
    await handle_messages(app)
    async with unguarded(app) as owner:
        await owner.execute("UPDATE app.stages SET tasks_total = 3, tasks_open = 3 WHERE stage = 1")
        await owner.execute("UPDATE app.jobs SET tasks_total = 3, stages_open = 1")
    assert "GAP-10" in await ids(app)
    await rows(app, "SELECT app.repair_job(%s)", job.id)
    assert "GAP-10" not in await ids(app)
    await work(app)
    assert (await app.job(job.id))["status"] == "completed"


async def test_a_workers_login_may_repair_nothing(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    async with app.database.session() as session:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await session.connection.execute(b"SELECT app.repair_job('x')")


@pytest.mark.parametrize("kind", ["job", "task", "callback"])
async def test_f60_a_number_that_overflows_stops_the_claim_of_no_other_row(open_app: OpenApp, kind: str) -> None:
    app = await open_app(SUMS, OTHER)
    poisoned = await app.submit(SUMS, numbers=[1], key="poisoned")
    if kind == "task":
        await handle_messages(app)
    if kind == "callback":
        await rows(
            app,
            "CREATE FUNCTION public.later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" NEW.lease_number := {LARGEST}; RETURN NEW; END $$",
        )
    async with unguarded(app) as owner:
        if kind == "callback":
            await owner.execute(
                "CREATE TRIGGER a_later BEFORE INSERT ON app.callbacks FOR EACH ROW"
                " WHEN (NEW.max_attempts > 0) EXECUTE FUNCTION public.later()"
            )
            await owner.execute("ALTER TABLE app.callbacks DISABLE TRIGGER a_later")
        else:
            await owner.execute(f"UPDATE app.{kind}s SET lease_number = {LARGEST}".encode())  # noqa: S608 - test SQL
    if kind == "callback":
        await rows(app, "ALTER TABLE app.callbacks ENABLE ALWAYS TRIGGER a_later")
        async with working(app):
            await until_status(app, poisoned.id, "completed")
            await until_row(app, "SELECT FROM app.set_aside WHERE step = 'claim callback'")
        await rows(app, "DROP TRIGGER a_later ON app.callbacks")
    async with working(app):
        others = [await app.submit(SUMS, numbers=[1, 2, 3], key=str(n)) for n in range(3)]
        for other in others:
            await until_status(app, other.id, "completed")
            await until_row(app, "SELECT FROM app.callbacks WHERE job_id = %s AND status = 'completed'", other.id)
        aside = await until_row(app, "SELECT item, job_id FROM app.set_aside WHERE step = %s", f"claim {kind}")
    assert aside["job_id"] == poisoned.id
    assert "GAP-31" in await ids(app)
    assert f"claim {kind}" in (await app.why(poisoned.id)).waits_for[0]


REFUSED = [
    ("jobs", "due_at = 'infinity'"),
    ("jobs", "due_at = '-infinity'"),
    ("jobs", "due_at = '9999-06-01'"),
    ("jobs", f"lease_number = {LARGEST}"),
    ("jobs", "send_number = -1"),
    ("jobs", "deadline_at = 'infinity'"),
    ("tasks", "due_at = 'infinity'"),
    ("tasks", f"lease_number = {LARGEST}"),
    ("tasks", "timeout = '300000 years'"),
    ("tasks", "timeout = '-1 second'"),
    ("tasks", f"max_attempts = {LARGEST}"),
    ("stages", "stopped_at = 'infinity'"),
]


@pytest.mark.parametrize(("table", "change"), REFUSED)
async def test_f60_what_is_not_finite_or_would_overflow_is_refused(open_app: OpenApp, table: str, change: str) -> None:
    app = await open_app(SUMS)
    await app.submit(SUMS, numbers=[1])
    if table != "jobs":
        await handle_messages(app)
    bend = f"UPDATE app.{table} SET {change}"  # noqa: S608 - test SQL
    async with app.database.session() as session:
        with pytest.raises(psycopg.Error):
            await session.connection.execute(bend.encode())
    with pytest.raises(psycopg.errors.CheckViolation) as refused:  # not even by an owner who repairs
        await rows(app, bend)
    assert refused.value.diag.constraint_name == f"{table}_in_range"


@pytest.mark.parametrize("at", ["infinity", "-infinity", "20000-01-01"])
async def test_f60_a_time_beyond_pythons_hides_no_list_and_no_answer(open_app: OpenApp, at: str) -> None:
    app = await open_app(SUMS)
    job = await finished(app, SUMS, numbers=[1])
    async with unguarded(app) as owner:
        await owner.execute("UPDATE app.jobs SET finished_at = %s, created_at = %s, started_at = %s", (at, at, at))
    assert [row["job_id"] for row in await app.list_jobs()] == [job["job_id"]]
    assert (await app.why(job["job_id"])).verdict == "completed"
    assert (await app.job(job["job_id"]))["status"] == "completed"
    assert "job_completed" in await app.timeline(job["job_id"])


async def test_f60_a_row_due_in_the_year_2099_is_found_by_the_audit(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job = await app.submit(SUMS, numbers=[1])
    late = "UPDATE app.jobs SET due_at = '2099-01-01'"
    async with app.database.session() as session:
        with pytest.raises(psycopg.Error, match="no declared change allows this of due_at"):
            await session.connection.execute(late.encode())
    await rows(app, late)
    (finding,) = [one for one in (await app.audit()).findings if one.id == "GAP-33"]
    assert [example.job_id for example in finding.examples] == [job.id]
    await rows(app, "UPDATE app.jobs SET due_at = app.clock()")
    await work(app)
    assert (await app.job(job.id))["status"] == "completed"


async def test_a_hundred_healthy_jobs_end_beside_every_kind_of_row_that_nobody_can_handle(open_app: OpenApp) -> None:
    app = await open_app(SUMS, OTHER, concurrency=8)
    await with_an_orphan(app)
    bad = [await app.submit(SUMS, numbers=[1], key=f"bad {n}") for n in range(2)]
    async with unguarded(app) as owner:
        await owner.execute("UPDATE app.jobs SET lease_number = %s WHERE job_id = %s", (LARGEST, bad[0].id))
        await owner.execute("UPDATE app.jobs SET due_at = 'infinity' WHERE job_id = %s", (bad[1].id,))
    async with working(app):
        jobs = [await app.submit(SUMS, numbers=[1, 2, 3], key=f"healthy {n}") for n in range(100)]
        for job in jobs:
            await until_status(app, job.id, "completed", within=60)
    assert not [one for job in jobs for one in await unfinished(app, job.id)]


async def unfinished(app: AsyncCoreMachine, job_id: str) -> Sequence[object]:
    return [one for one in await tasks_of(app, job_id) if one["status"] != "completed"]


async def test_a_row_that_a_trigger_of_somebody_elses_refuses_is_set_aside_too(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    ghost = await app.submit(SUMS, numbers=[1], key="ghost")
    await handle_messages(app)
    await rows(
        app,
        "CREATE FUNCTION public.veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'not on a sunday'; END $$",
    )
    await rows(
        app,
        "CREATE TRIGGER a_veto BEFORE UPDATE ON app.tasks FOR EACH ROW WHEN (NEW.task_id = '1-0')"
        " EXECUTE FUNCTION public.veto()",
    )
    async with working(app):
        sound = await app.submit(SUMS, numbers=[1, 2, 3], key="sound")
        await until_status(app, sound.id, "completed")
        aside = await until_row(app, "SELECT job_id, error FROM app.set_aside WHERE step = 'claim task'")
    assert (aside["job_id"], aside["error"]["message"]) == (ghost.id, "not on a sunday")


async def test_a_row_that_somebody_holds_keeps_the_rescue_of_others_waiting_for_seconds_only(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    held = await app.submit(SUMS, numbers=[1, 2, 3], key="held")
    free = await app.submit(SUMS, numbers=[1, 2, 3], key="free")
    await lose(app)
    async with await psycopg.AsyncConnection.connect(app.database.url) as somebody:
        await somebody.execute("SELECT FROM app.jobs WHERE job_id = %s FOR UPDATE", (held.id,))
        assert (await reconciler(app).run_once())["tasks_rescued"] == 3
    states = await rows(app, "SELECT job_id, status, count(*) FROM app.tasks GROUP BY 1, 2 ORDER BY 2")
    assert [tuple(row.values()) for row in states] == [(held.id, "processing", 3), (free.id, "queued", 3)]
    asides = await rows(app, "SELECT job_id, error ->> 'type' AS type FROM app.set_aside")
    assert [tuple(row.values()) for row in asides] == [(held.id, "LockNotAvailable")] * 3


@pytest.mark.parametrize(
    "change", ["loops = '[]'", "loops = 'null'", "found = '1'", "unsent_s = 'NaN'", "seen_at = 'infinity'"]
)
async def test_a_heartbeat_that_nobody_could_read_is_refused(open_app: OpenApp, change: str) -> None:
    app = await open_app(SUMS)
    await reconciler(app).run_once()
    async with app.database.session() as session:
        await session.connection.execute(
            b"INSERT INTO app.workers (worker, seen_at, runs, failures, found) VALUES ('w', now(), 0, 0, '{}')"
        )
        with pytest.raises(psycopg.errors.CheckViolation):
            await session.connection.execute(f"UPDATE app.workers SET {change}".encode())  # noqa: S608 - test SQL


async def test_an_odd_loop_in_a_heartbeat_breaks_no_audit(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    await rows(
        app,
        """INSERT INTO app.workers (worker, seen_at, runs, failures, found, loops)
        VALUES ('w', now(), 0, 0, '{}', '{"x": {"failing_s": "b"}, "y": null}')""",
    )
    assert "GAP-32" in await ids(app)


async def test_a_check_of_the_audit_that_fails_is_a_finding_and_hides_no_other(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    await with_an_orphan(app)
    async with unguarded(app) as owner:
        await owner.execute("ALTER TABLE app.workers DROP CONSTRAINT workers_in_range")
        await owner.execute(
            "INSERT INTO app.workers (worker, seen_at, runs, failures, found, bus, unsent_s)"
            " VALUES ('w', now(), 0, 0, '{}', 'servicebus', 'NaN')"
        )
    findings = {finding.id: finding for finding in (await app.audit()).findings}
    assert "GAP-9" in findings
    assert findings["GAP-30"].examples[0].detail.startswith("the check itself failed: ")

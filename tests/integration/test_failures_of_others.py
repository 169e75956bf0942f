"""Failures that other systems had, a test each, where no other file has a place for it."""

import ast
import re
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from coremachine import Job, Stage, task
from coremachine.runtime import sql
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import ClaimedTask
from coremachine.runtime.store.session import Row, Session
from coremachine.runtime.store.text import error_data
from coremachine.statemachine.lifecycle import Lifecycle
from coremachine.statemachine.lifecycles import CALLBACK, JOB, STAGE, TASK
from coremachine.statemachine.tables import TASKS
from tests.databases import OpenApp
from tests.integration.lost_worker import handle_messages
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.running import finished, work, working
from tests.waiting import until_event, until_row, until_status

LIBRARY = Path(sql.__file__).resolve().parents[1]
STATUS_IS = re.compile(r"\bstatus\s*(?:=|<>|IN)\s*(\([^()]*\)|'[^']*')")
CLIENT_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}


@task
def give(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


SUMS = Job("twice_told", [Stage("give", give, each="numbers"), Stage("total", total, gather="give")])


async def claim(session: Session, limit: int = 100) -> list[ClaimedTask]:
    claimed = Claim(record=TASKS, types=["give", "total"], limit=limit, owner="one", lease=60)
    return [ClaimedTask(**row) for row in await claim_due(session, claimed)]


async def opened(app: AsyncCoreMachine, **parameters: Any) -> str:
    submitted = await app.submit(SUMS, **parameters)
    await handle_messages(app)
    return submitted.id


async def test_f04_an_outcome_that_is_told_twice_counts_once_and_the_stage_closes_once(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await opened(app, numbers=[1, 2])
    async with app.database.session() as session:
        first, second = await claim(session)
    outcomes = [Outcome(task=one, kind="completed", result="1") for one in (first, first, second)]
    for outcome in (*outcomes, outcomes[-1]):
        async with app.database.transaction() as session:
            await record_outcomes(session, app.bus, [outcome], "one")
    told = await counted_events(app, job_id)
    assert (told["task_completed"], told["stale_result_rejected"], told["stage_completed"]) == (2, 2, 1)
    (stage, _) = (await app.job(job_id))["stages"]
    assert (stage["tasks_completed"], stage["status"]) == (2, "completed")
    await work(app)
    assert (await counted_events(app, job_id))["stage_started"] == 2, "each stage was opened once"


async def test_f10_a_task_whose_retry_cannot_be_written_ends_with_its_stage_and_job(open_app: OpenApp) -> None:
    @task(retries=3)
    def stumble() -> None:
        raise ConnectionError("no")

    job = Job("stumbling", [Stage("stumble", stumble), Stage("after", stumble)])
    app = await open_app(job, lease=0.3, reconcile=0.1)
    await rows(app, "ALTER TABLE app.tasks ADD CONSTRAINT no_second_attempt CHECK (attempt = 1)")
    async with working(app):
        submitted = await app.submit(job)
        row = await until_status(app, submitted.id, "completed", "failed", "cancelled", within=60)
    assert row["status"] == "failed"
    assert [stage["status"] for stage in (await app.job(submitted.id))["stages"]] == ["failed", "cancelled"]
    assert not (await app.audit()).findings


async def test_f15_where_the_event_cannot_be_written_nothing_moves(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    job_id = await opened(app, numbers=[1])
    await rows(app, "ALTER TABLE app.job_events ADD CHECK (event_type <> 'task_started') NOT VALID")
    async with app.database.session() as session:
        with pytest.raises(psycopg.errors.CheckViolation):
            await claim(session)
    (untouched,) = await tasks_of(app, job_id)
    assert (untouched["status"], untouched["lease_number"], untouched["move_number"]) == ("queued", 0, 0)


def test_f23_no_statement_names_a_status_that_is_not_declared() -> None:
    declared = {state.name for lifecycle in (JOB, STAGE, TASK, CALLBACK) for state in lifecycle.states}
    seen: set[str] = set()
    for path in sorted((LIBRARY / "sql").rglob("*.sql")):
        named = {word for found in STATUS_IS.findall(path.read_text()) for word in re.findall(r"'([^']*)'", found)}
        assert named <= declared | EVENT_STATUSES, f"{path.name} asks for {sorted(named - declared)}"
        seen |= named
    assert seen >= {"queued", "processing"}, "the pattern still finds what it looks for"


EVENT_STATUSES = {"success", "failure", "warning", "info"}


async def test_f25_a_worker_holds_few_connections_however_much_it_runs_at_once(open_app: OpenApp) -> None:
    job = Job("many", [Stage("give", give, each="numbers")])
    app = await open_app(job, concurrency=100, prefetch=100, pool_size=3)
    await rows(app, "CREATE TABLE public.seen (connections INT)")
    await rows(
        app,
        """
        CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
          INSERT INTO public.seen SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name LIKE 'coremachine%';
          RETURN NULL; END $$;
        CREATE TRIGGER z_look AFTER UPDATE ON app.tasks FOR EACH STATEMENT EXECUTE FUNCTION public.look()
        """,
    )
    await finished(app, job, numbers=list(range(400)))
    (most,) = await rows(app, "SELECT max(connections) AS connections, count(*) AS looks FROM public.seen")
    assert most["looks"] > 2
    assert most["connections"] <= 3 + 2, "the pool, the listener and the lease renewer"


async def test_f26_every_time_has_its_zone_and_is_the_databases(open_app: OpenApp) -> None:
    app = await open_app(SUMS)
    naive = await rows(
        app,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'app' AND data_type ~ '^(timestamp|time|date)' AND data_type !~ ' with time zone$'",
    )
    assert naive == []
    for folder in ("flow", "store", "worker", "reconciler", "relay"):  # a broker tells its locks by a clock of its own
        for path in sorted((LIBRARY / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    asked = ast.unparse(node.func)
                    clock = node.func.attr in CLIENT_CLOCKS and "loop" not in asked
                    assert not clock, f"{path.name} asks a client's clock: {asked}"


async def test_f33_the_rows_and_the_history_tell_the_same_of_every_job(open_app: OpenApp) -> None:
    @task(retries=0)
    def refuse(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    stages = [Stage("refuse", refuse, each="numbers", policy="finish_siblings"), Stage("sum", total, gather="refuse")]
    job = Job("mixed", stages)
    app = await open_app(SUMS, job)
    for one in (SUMS, job):
        row = await finished(app, one, numbers=[1, 2, 3])
        told = await events_of(app, row["job_id"])
        assert JOB.replay(_types(told, JOB)) == row["status"]
        for stage in row["stages"]:
            assert STAGE.replay(_types(told, STAGE, stage=stage["stage"])) == stage["status"]
        for row_of_task in await tasks_of(app, row["job_id"]):
            assert TASK.replay(_types(told, TASK, task_id=row_of_task["task_id"])) == row_of_task["status"]
    assert not (await app.audit()).findings


def _types(events: list[Row], lifecycle: Lifecycle, **subject: object) -> list[str]:
    """The types of the transition events of one row, in their order."""
    return [
        event["event_type"]
        for event in events
        if event["event_type"] in lifecycle.event_types and subject.items() <= event.items()
    ]


def test_f37_an_error_in_the_handling_of_an_error_leaves_both_in_the_event() -> None:
    def ask_the_mail_server() -> None:
        raise ConnectionError("the mail server is away")

    def stumble() -> None:
        try:
            ask_the_mail_server()
        except ConnectionError:
            raise KeyError("address of the operator")  # noqa: B904 - the very mistake that is told of

    with pytest.raises(KeyError) as failure:
        stumble()
    told = str(error_data(failure.value))
    assert "the mail server is away" in told
    assert "address of the operator" in told


async def test_f43_a_handler_that_lasts_holds_no_transaction_and_no_snapshot(open_app: OpenApp) -> None:
    gate = Event()

    @task
    def last() -> None:
        assert gate.wait(60)

    job = Job("lasting", [Stage("last", last)])
    app = await open_app(job)
    async with working(app):
        submitted = await app.submit(job)
        await until_event(app, submitted.id, "task_started")
        await until_row(app, "SELECT FROM app.tasks WHERE started_at < app.clock() - interval '2 seconds'")
        assert await rows(app, HOLDING_BACK) == []
        gate.set()
        await until_status(app, submitted.id, "completed")
    async with app.database.session() as session:
        (limits,) = await (await session.connection.execute(LIMITS.encode())).fetchall()
    assert limits == {"idle": "1min", "statement": "5min"}, "what goes wrong all the same is ended by the server"


LIMITS = """
SELECT current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('statement_timeout') AS statement
"""
HOLDING_BACK = """
SELECT application_name, state, query FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'coremachine%' AND pid <> pg_backend_pid()
  AND xact_start < clock_timestamp() - interval '1 second'
"""

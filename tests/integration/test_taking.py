"""Taking: a worker claims tasks in the transaction that opens their stage, and begins them once it is committed."""

from typing import Any

import psycopg

from coremachine import AsyncCoreMachine, Job, Stage, task
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.running import work, working
from tests.waiting import until_row, until_status

REFUSING = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'refused for the test' USING ERRCODE = 'CM999'; END $$;
CREATE CONSTRAINT TRIGGER a_refuse AFTER INSERT ON app.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  EXECUTE FUNCTION public.refuse()"""
OPENING = """
SELECT event_type, xmin::text AS transaction FROM app.job_events
WHERE job_id = %s AND event_type IN ('stage_started', 'task_started') ORDER BY event_id"""
WORDS = 12
RAN: list[int] = []


@task
def run(number: int) -> int:
    RAN.append(number)
    return number


ONE = Job("one", [Stage("run", run)])
MANY = Job("many", [Stage("run", run, each="numbers")])


async def opened(app: AsyncCoreMachine, job_id: str) -> tuple[set[str], list[str]]:
    """The transactions in which the job's stage was opened, and those in which its tasks were started."""
    found = await rows(app, OPENING, job_id)
    stages = {row["transaction"] for row in found if row["event_type"] == "stage_started"}
    return stages, [row["transaction"] for row in found if row["event_type"] == "task_started"]


async def test_a_task_that_has_room_is_started_in_the_transaction_that_opens_its_stage(open_app: OpenApp) -> None:
    app = await open_app(ONE, MANY, concurrency=3)
    one = await app.submit(ONE, number=1)
    await work(app)
    stages, tasks = await opened(app, one.id)
    assert set(tasks) == stages
    many = await app.submit(MANY, numbers=list(range(20)))
    await work(app)
    stages, tasks = await opened(app, many.id)
    assert len(tasks) == 20
    assert 1 <= sum(transaction in stages for transaction in tasks) <= 20


async def test_an_opening_that_is_not_committed_runs_nothing_and_keeps_no_room(open_app: OpenApp) -> None:
    RAN.clear()
    app = await open_app(ONE, concurrency=1, poll=0.05)
    await rows(app, REFUSING)
    job = await app.submit(ONE, number=7)
    async with working(app):
        await until_row(app, "SELECT 1 FROM app.jobs WHERE job_id = %s AND message_failures >= 1", job.id)
        assert RAN == []
        assert await rows(app, "SELECT 1 FROM app.tasks") == []
        await rows(app, "DROP TRIGGER a_refuse ON app.tasks")
        await until_status(app, job.id, "completed")
    assert RAN == [7]
    assert len(await events_of(app, job.id, "task_started")) == 1


async def test_others_are_woken_for_what_has_no_room_and_for_nothing_else(open_app: OpenApp, url: str) -> None:
    app = await open_app(ONE, MANY, concurrency=2)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as listener:
        await listener.execute("LISTEN coremachine_app")
        cases: list[tuple[Job, dict[str, Any], bool]] = [
            (ONE, {"number": 1}, False),
            (MANY, {"numbers": list(range(50))}, True),
        ]
        for job, parameters, woken in cases:
            await app.submit(job, **parameters)
            await work(app)
            heard = [word.payload async for word in listener.notifies(timeout=0.5, stop_after=WORDS)]
            assert "job" in heard
            assert ("task" in heard) == woken

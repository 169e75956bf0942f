"""The lease protects long work, not the lock of the broker: a handler of three times the lock runs once."""

import asyncio

from coremachine import Job, Stage, task
from tests.integration.servicebus.conftest import Queues
from tests.observing import counted_events
from tests.running import working
from tests.waiting import until_status

RUNS: list[str] = []


@task
async def long() -> str:
    RUNS.append("long")
    await asyncio.sleep(3)  # it is the work
    return "done"


LONG = Job("long", [Stage("long", long)])


async def test_a_handler_of_three_seconds_on_a_queue_with_a_lock_of_one_runs_once(queues: Queues) -> None:
    for queue in (queues.jobs, queues.tasks):
        queues.broker.configure(queue, lock_duration=1.0)
    RUNS.clear()
    app = await queues.open_app(LONG)
    submitted = await app.submit(LONG)
    async with working(app), working(app):
        job = await until_status(app, submitted.id, "completed", "failed", within=60)
    told = await counted_events(app, submitted.id)
    assert (job["status"], RUNS) == ("completed", ["long"])
    assert (told["task_started"], told["task_completed"], told["task_rescued"]) == (1, 1, 0)
    assert queues.broker.counters(queues.tasks).dead_lettered == 0
    assert (await app.audit()).findings == ()

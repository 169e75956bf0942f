"""A job of 1 → 10 000 → 1 tasks, and what it left behind."""

from tests.acceptance.counted_jobs import big
from tests.acceptance.exactly_once import tasks_that_ran_otherwise
from tests.databases import OpenApp
from tests.observing import counted_events, rows
from tests.running import finished

TASKS = 10_000


async def test_a_fan_out_of_ten_thousand_completes_in_order_and_once_each(open_app: OpenApp) -> None:
    app = await open_app(big, concurrency=50, prefetch=500)
    row = await finished(app, big, n=TASKS)
    assert row["status"] == "completed"
    assert row["result"] == list(range(TASKS)), "in task order"
    assert [stage["tasks_completed"] for stage in row["stages"]] == [1, TASKS, 1]
    assert not await tasks_that_ran_otherwise(app, row["job_id"])
    counts = await counted_events(app, row["job_id"])
    assert (counts["task_started"], counts["task_completed"]) == (TASKS + 2, TASKS + 2)
    assert (counts["stage_completed"], counts["job_completed"]) == (3, 1)
    (numbers,) = await rows(
        app, "SELECT min(task_number), max(task_number), count(DISTINCT task_number) FROM app.tasks"
    )
    assert list(numbers.values()) == [1, TASKS + 2, TASKS + 2]
    lines = (await app.timeline(row["job_id"])).splitlines()
    assert sum(line.startswith("… 10 000 tasks: 10 000 started, 10 000 completed", 10) for line in lines) == 1
    assert len(lines) < 25

"""A worker is killed in the midst of a job, and started again as it was: the job ends soon, and its events say why."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.blocking_jobs import read_lines
from tests.acceptance.commands import line_with, started
from tests.acceptance.short_jobs import TASKS, short
from tests.databases import OpenApp
from tests.observing import counted_events, events_of, rows, tasks_of
from tests.waiting import until_row, until_status

APP = ("--app", str(Path(__file__).with_name("short_jobs.py")))
DEFAULTS = {"COREMACHINE_POLL": ""}
IN_TIME = 30.0
SOME = "SELECT FROM app.tasks WHERE status = 'completed' HAVING count(*) >= %s"
GONE = """
SELECT WHERE NOT EXISTS (
  SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'coremachine'
  AND backend_start > %s)
"""


async def test_f32_two_hundred_tasks_end_within_30_s_after_their_killed_worker_was_started_again(
    url: str, open_app: OpenApp, tmp_path: Path
) -> None:
    app, file = await open_app(short), tmp_path / "lines"
    submitted = await app.submit(short, file=str(file))
    (before,) = await rows(app, "SELECT clock_timestamp() AS moment")
    with started("worker", *APP, url=url, **DEFAULTS) as first:
        await until_row(app, SOME, TASKS // 4)
        first.kill()
        await asyncio.to_thread(first.wait)
    await until_row(app, GONE, before["moment"])  # what it had sent, the server has done
    in_flight = await rows(app, "SELECT task_id, task_index, lease_owner FROM app.tasks WHERE status = 'processing'")
    assert in_flight, "it was killed in the midst of its work"
    with started("worker", *APP, url=url, **DEFAULTS) as second:
        began = time.monotonic()
        await asyncio.to_thread(line_with, second.stderr, "worker started")
        row = await until_status(app, submitted.id, "completed", "failed", within=2 * IN_TIME)
        lasted = time.monotonic() - began
        second.terminate()
        await asyncio.to_thread(second.communicate, None, 30)
    assert (row["status"], row["result"]) == ("completed", {"results": TASKS})
    assert lasted < IN_TIME, f"{lasted:.1f} s"

    ran = Counter(int(line) for line in read_lines(file))
    assert ran.keys() == set(range(TASKS))
    assert {number for number, times in ran.items() if times > 1} <= {one["task_index"] for one in in_flight}
    assert max(ran.values()) <= 2

    rescued = await events_of(app, submitted.id, "task_rescued")
    assert {event["task_id"] for event in rescued} == {one["task_id"] for one in in_flight}
    assert {event["event_data"]["lost_worker"] for event in rescued} == {one["lease_owner"] for one in in_flight}
    assert {event["event_status"] for event in rescued} == {"warning"}
    counts = await counted_events(app, submitted.id)
    assert (counts["task_started"], counts["task_completed"]) == (TASKS + len(in_flight), TASKS)
    again = {one["task_id"]: one["lease_number"] for one in await tasks_of(app, submitted.id)}
    assert {key for key, number in again.items() if number == 2} == {one["task_id"] for one in in_flight}
    assert set(again.values()) == {1, 2}
    assert (await app.audit()).findings == ()

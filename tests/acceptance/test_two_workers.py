"""Two workers, two processes, one job: nothing is done twice, and nothing is left out."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

from tests.acceptance.commands import line_with, started
from tests.acceptance.counted_jobs import counted
from tests.acceptance.exactly_once import tasks_that_ran_otherwise
from tests.databases import OpenApp
from tests.observing import counted_events, rows
from tests.waiting import until_status

APP = ("--app", str(Path(__file__).with_name("counted_jobs.py")))
TASKS = 1_000


async def test_f28_two_worker_processes_do_a_thousand_tasks_once_each(
    url: str, open_app: OpenApp, tmp_path: Path
) -> None:
    app, file = await open_app(counted), tmp_path / "lines"
    with started("worker", *APP, url=url) as one, started("worker", *APP, url=url) as other:
        for worker in (one, other):
            await asyncio.to_thread(line_with, worker.stderr, "worker started")
        submitted = await app.submit(counted, n=TASKS, file=str(file))
        row = await until_status(app, submitted.id, "completed", "failed", within=60)
        for worker in (one, other):
            worker.send_signal(signal.SIGTERM)
        for worker in (one, other):
            await asyncio.to_thread(worker.communicate, None, 30)
        assert [one.returncode, other.returncode] == [0, 0]
    assert (row["status"], row["result"]) == ("completed", list(range(TASKS)))
    lines = [line.split() for line in file.read_text().splitlines()]
    assert Counter(int(number) for number, _ in lines) == Counter(range(TASKS)), "each task ran once"
    assert len({process for _, process in lines}) == 2, "both took part"
    assert not await tasks_that_ran_otherwise(app, submitted.id)
    counts = await counted_events(app, submitted.id)
    assert (counts["stage_started"], counts["stage_completed"], counts["job_completed"]) == (3, 3, 1)
    assert (counts["task_started"], counts["task_completed"]) == (TASKS + 2, TASKS + 2)
    stages = await rows(app, "SELECT tasks_total, tasks_completed, move_number FROM app.stages ORDER BY stage")
    assert [(stage["tasks_total"], stage["tasks_completed"], stage["move_number"]) for stage in stages] == [
        (1, 1, 2),
        (TASKS, TASKS, 2),
        (1, 1, 2),
    ]

"""Stops the worker that howto/run-workers.md shows, and checks what the page says about stopping."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from coremachine import AsyncCoreMachine, Job, Stage, task
from tests.docs.pages import DOCS, ROOT, blocks, write

JOBS = """
from coremachine import Job, Stage, TaskContext, task


@task
def hold(fifo: str, context: TaskContext) -> None:
    with open(fifo, "w") as pipe:
        pipe.write("running")
    context.wait(600)


nightly = Job("nightly", [Stage("hold", hold)])
"""


@task
def hold(fifo: str) -> None:
    """Stands for the handler of the same name in the worker's process."""
    raise AssertionError(fifo)


async def test_a_worker_that_stops_releases_the_task_that_does_not_end(tmp_path: Path, url: str) -> None:
    for block in blocks(DOCS / "howto" / "run-workers.md", "python"):
        write(block, tmp_path)
    (tmp_path / "jobs.py").write_text(JOBS)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    nightly = Job("nightly", [Stage("hold", hold)])
    environment = {**os.environ, "COREMACHINE_URL": url, "COREMACHINE_GRACE": "0", "PYTHONPATH": str(ROOT)}

    async with AsyncCoreMachine(url, jobs=[nightly]) as app:
        job = await app.submit(nightly, fifo=str(fifo))
        worker = subprocess.Popen([sys.executable, "worker.py"], cwd=tmp_path, env=environment)  # noqa: ASYNC220
        try:
            assert fifo.read_text() == "running"  # blocks until the handler runs
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) == 0
        finally:
            worker.kill()
        assert "▲ task_released (task-001)" in await app.timeline(job.id)
        assert (await app.job(job.id))["status"] == "processing"

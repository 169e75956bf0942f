"""A child ends with its worker, whatever its handler does, and however the worker ends."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.child_handlers import SOON
from tests.integration.children_seen import Process

WORKER = """
import asyncio, ctypes, os
from beside import GREETING
from coremachine.runtime.executor.children import ChildCall, Children
from coremachine.statemachine.context import TaskContext
from coremachine.statemachine.task import task

@task
def hang(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid(), module=__name__, greeting=GREETING)
    ctypes.PyDLL(None).sleep(1000)

async def work() -> None:
    context = TaskContext(emit=lambda kind, data: print(data["pid"], data["module"], data["greeting"], flush=True))
    await Children(1).run(ChildCall.of(hang, {}, context), timeout=None, context=context)

if __name__ == "__main__":
    asyncio.run(work())
"""


@pytest.fixture(params=["script", "module"])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A worker in a process of its own, whose script holds the handler that it runs."""
    package = tmp_path / "pack"
    package.mkdir()
    is_script = request.param == "script"
    (package / "work.py").write_text(WORKER if is_script else WORKER.replace("from beside", "from .beside"))
    (package / "beside.py").write_text("GREETING = 'hello'")
    command = [str(package / "work.py")] if is_script else ["-m", "pack.work"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        yield process
        process.kill()


def test_a_killed_worker_takes_its_child_along(worker: "subprocess.Popen[str]") -> None:
    assert worker.stdout is not None
    pid, module, greeting = worker.stdout.readline().split()
    assert module in {"__mp_main__", "pack.work"}
    assert greeting == "hello"
    with contextlib.closing(Process(int(pid))) as child:
        assert not child.is_gone()
        worker.kill()
        assert child.is_gone(SOON)

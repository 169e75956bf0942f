"""Jobs whose handlers hold the interpreter or the event loop. A worker loads this file."""

import ctypes
import os
import time
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.soak.side_effects import append_words


@task
def hold_the_interpreter(number: int, seconds: int, file: str) -> int:
    """A call of C that does not release the interpreter: no thread of the worker runs."""
    append_words(file, "begun", number)
    ctypes.PyDLL(None).sleep(seconds)
    return number


@task
async def block_the_loop(number: int, seconds: int, file: str) -> int:
    append_words(file, "begun", number)
    time.sleep(seconds)  # noqa: ASYNC251 - what a careless user does
    return number


@task
def fork_and_stay(file: str, context: TaskContext) -> None:
    """Leave a process that holds all open files of the worker, and never end."""
    forked = os.fork()
    if forked == 0:
        time.sleep(600)
        os._exit(0)
    append_words(file, forked)
    while not context.wait(1):
        pass


holding_interpreter = Job("holding_interpreter", [Stage("hold", hold_the_interpreter, each="numbers")])
blocking_loop = Job("blocking_loop", [Stage("block", block_the_loop, each="numbers")])
forking = Job("forking", [Stage("fork", fork_and_stay)])


def read_lines(file: Path) -> list[str]:
    """What was left so far."""
    return file.read_text().splitlines() if file.exists() else []

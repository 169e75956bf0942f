"""Jobs whose handlers hold the interpreter or the loop, given to a worker as a file of their own."""

import ctypes
import os
import time
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task


def leave_line(file: str, *words: object) -> None:
    """One write to a file opened for appending."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(descriptor)


@task
def hold_the_interpreter(number: int, seconds: int, file: str) -> int:
    """A call of C that does not let go of the interpreter: no thread of the worker runs."""
    leave_line(file, "begun", number)
    ctypes.PyDLL(None).sleep(seconds)
    return number


@task
async def block_the_loop(number: int, seconds: int, file: str) -> int:
    leave_line(file, "begun", number)
    time.sleep(seconds)  # noqa: ASYNC251 - what a careless user does
    return number


@task
def fork_and_stay(file: str, context: TaskContext) -> None:
    """Leave a process that holds all that the worker had open, and never end."""
    forked = os.fork()
    if forked == 0:
        time.sleep(600)
        os._exit(0)
    leave_line(file, forked)
    while not context.wait(1):
        pass


holding_interpreter = Job("holding_interpreter", [Stage("hold", hold_the_interpreter, each="numbers")])
blocking_loop = Job("blocking_loop", [Stage("block", block_the_loop, each="numbers")])
forking = Job("forking", [Stage("fork", fork_and_stay)])


def lines_of(file: Path) -> list[str]:
    """What was left so far."""
    return file.read_text().splitlines() if file.exists() else []

"""Jobs whose tasks leave a line each in a file, given to workers as a file of their own."""

import os
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task

FIRST_ONES = 16


@task
def number_range(n: int) -> list[int]:
    return list(range(n))


@task
def append_line(number: int, file: str, context: TaskContext) -> int:
    """One write to a file opened for appending: lines of several processes do not mix.

    The first ones wait until another process has written, too: none does all the work alone.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number} {os.getpid()}\n".encode())
    finally:
        os.close(descriptor)
    while number < FIRST_ONES and _writers(file) < 2 and not context.wait(0.02):
        pass
    return number


def _writers(file: str) -> int:
    return len({line.split()[1] for line in Path(file).read_text().splitlines()})


@task
async def give_back(number: int) -> int:
    return number


@task
def collect(numbers: list[int]) -> list[int]:
    return numbers


counted = Job(
    "counted",
    [
        Stage("plan", number_range),
        Stage("append", append_line, each="plan"),
        Stage("collect", collect, gather="append"),
    ],
)
big = Job(
    "big",
    [
        Stage("plan", number_range),
        Stage("give", give_back, each="plan"),
        Stage("collect", collect, gather="give"),
    ],
)

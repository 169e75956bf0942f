"""Jobs whose tasks write one line each to a file. Workers load this file."""

import os
from pathlib import Path

from coremachine import Job, Stage, TaskContext, task
from coremachine.runtime.soak.side_effects import append_words

FIRST_ONES = 16


@task
def number_range(n: int) -> list[int]:
    return list(range(n))


@task
def append_line(number: int, file: str, context: TaskContext) -> int:
    """Write a line. The first tasks wait until another process has written too, so that no process works alone."""
    append_words(file, number, os.getpid())
    while number < FIRST_ONES and _writers(file) < 2 and not context.wait(0.02):
        pass
    return number


def _writers(file: str) -> int:
    return len({line.split()[1] for line in Path(file).read_text().splitlines()})


@task
async def return_number(number: int) -> int:
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
        Stage("give", return_number, each="plan"),
        Stage("collect", collect, gather="give"),
    ],
)

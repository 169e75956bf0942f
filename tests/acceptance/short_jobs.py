"""Two hundred tasks of 50 ms, each of which writes a line when it begins. A worker loads this file."""

import time

from coremachine import Job, Stage, task
from coremachine.runtime.soak.side_effects import append_words

TASKS = 200


def numbers() -> list[int]:
    return list(range(TASKS))


@task
def wait_a_little(number: int, file: str) -> int:
    append_words(file, number)
    time.sleep(0.05)
    return number


short = Job("short", [Stage("wait", wait_a_little, each=numbers)])

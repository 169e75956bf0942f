"""Two hundred tasks of 50 ms, given to a worker as a file of their own. Each leaves a line as it begins."""

import time

from coremachine import Job, Stage, task
from tests.acceptance.blocking_jobs import leave_line

TASKS = 200


def numbers() -> list[int]:
    return list(range(TASKS))


@task
def wait_a_little(number: int, file: str) -> int:
    leave_line(file, number)
    time.sleep(0.05)
    return number


short = Job("short", [Stage("wait", wait_a_little, each=numbers)])

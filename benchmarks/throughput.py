"""One run of one peer: how many tasks a second, and for those on PostgreSQL what a task makes the server write."""

import signal
import time
from dataclasses import dataclass

import stores
from crew import Crew
from stage import PATIENCE, Shape, Stage, Where, stage
from watch import wait

LEAVE = 30


@dataclass(frozen=True, slots=True)
class Run:
    """What was found. The last three are None for who keeps its work in Redis."""

    tasks: int
    seconds: float
    tasks_per_second: float
    wal_bytes_per_task: float | None = None
    rows_per_task: float | None = None
    unlogged_tables: int | None = None


def run(name: str, where: Where, shape: Shape, tasks: int) -> Run:
    """One run, after a warm-up. Raises PeerFailedError."""
    with stage(name, where) as found:
        before = stores.written(found.database) if found.database else None
        tasks = max(tasks // found.peer.share, 10)
        with found.workers() as workers:
            found.wake(shape)
            seconds = _fan(found, tasks) if shape == "fan" else _flat(found, workers, tasks)
        speed = round(tasks / seconds, 1)
        if found.database is None or before is None:
            return Run(tasks, seconds, speed)
        return Run(tasks, seconds, speed, *_written(found, before))


def _fan(found: Stage, tasks: int) -> float:
    """From the submission to the fan-in."""
    found.run("fan", tasks)
    return found.watch.ends()[-1] - found.watch.submitted()


def _flat(found: Stage, workers: Crew, tasks: int) -> float:
    """From the first task done to the last. Workers stand still while the queue is filled, which some do slowly."""
    done = found.watch.done()
    workers.signal(signal.SIGSTOP)
    try:
        found.call("flat", str(tasks))
    finally:
        workers.signal(signal.SIGCONT)
    wait(lambda: found.watch.done() > done, PATIENCE, "the first task")
    first, began = found.watch.done(), time.perf_counter()
    wait(lambda: found.watch.done() >= done + tasks, PATIENCE, "the last task")
    return (time.perf_counter() - began) * tasks / max(done + tasks - first, 1)


def _written(found: Stage, before: stores.Written) -> tuple[float, float, int]:
    """What was written since, warm-up and all, for each task that was done: counters are complete only at the end."""
    url = found.database or ""
    wait(lambda: stores.left(url), LEAVE, "the workers' connections to close")
    after, tasks = stores.written(url), found.watch.done()
    return (
        round((after.wal_bytes - before.wal_bytes) / tasks, 1),
        round((after.rows - before.rows) / tasks, 2),
        stores.unlogged(url),
    )

"""Throughput of one peer: tasks per second and, for a peer on PostgreSQL, what a task makes the server write."""

import signal
import time
from dataclasses import dataclass

import stores
from peer_run import RUN_SECONDS, PeerOptions, PeerRun, Shape, peer_run
from watch import wait
from worker_group import WorkerGroup

DISCONNECT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Run:
    """The result. The last three are None for a peer that keeps its work in Redis."""

    tasks: int
    seconds: float
    tasks_per_second: float
    wal_bytes_per_task: float | None = None
    rows_per_task: float | None = None
    unlogged_tables: int | None = None


def run(name: str, options: PeerOptions, shape: Shape, tasks: int) -> Run:
    """One run, after a warm-up. Raises PeerFailedError."""
    with peer_run(name, options) as peer:
        before = stores.written(peer.database) if peer.database else None
        tasks = max(tasks // peer.peer.share, 10)
        with peer.workers() as workers:
            peer.warm_up(shape)
            seconds = _fan(peer, tasks) if shape == "fan" else _flat(peer, workers, tasks)
        speed = round(tasks / seconds, 1)
        if peer.database is None or before is None:
            return Run(tasks, seconds, speed)
        return Run(tasks, seconds, speed, *_written(peer, before))


def _fan(peer: PeerRun, tasks: int) -> float:
    """Seconds from the submission to the fan-in."""
    peer.run("fan", tasks)
    return peer.watch.ends()[-1] - peer.watch.submitted()


def _flat(peer: PeerRun, workers: WorkerGroup, tasks: int) -> float:
    """Seconds from the first task to the last. Workers are paused while the queue is filled, which is slow for some."""
    done = peer.watch.done()
    workers.signal(signal.SIGSTOP)
    try:
        peer.call("flat", str(tasks))
    finally:
        workers.signal(signal.SIGCONT)
    wait(lambda: peer.watch.done() > done, RUN_SECONDS, "the first task")
    first, began = peer.watch.done(), time.perf_counter()
    wait(lambda: peer.watch.done() >= done + tasks, RUN_SECONDS, "the last task")
    return (time.perf_counter() - began) * tasks / max(done + tasks - first, 1)


def _written(peer: PeerRun, before: stores.Written) -> tuple[float, float, int]:
    """What was written for each task, warm-up included: the counters are complete only at the end."""
    url = peer.database or ""
    wait(lambda: stores.all_disconnected(url), DISCONNECT_SECONDS, "the workers' connections to close")
    after, tasks = stores.written(url), peer.watch.done()
    return (
        round((after.wal_bytes - before.wal_bytes) / tasks, 1),
        round((after.rows - before.rows) / tasks, 2),
        stores.unlogged(url),
    )

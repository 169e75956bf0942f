"""What happens to a job when one of its two workers is killed after half of the tasks."""

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from peer_run import RUN_SECONDS, PeerOptions, peer_run
from watch import Watch, wait

Victim = Literal["planner", "other"]
SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many tasks, how long to wait for the end of the job, and whether to start another worker."""

    tasks: int
    limit: float
    restart: bool


@dataclass(frozen=True, slots=True)
class Killed:
    """What happened to the job. `missing` tasks had not been done when it ended, or at the limit.

    A task that is begun again may have been running; a task that is done again was done, but its end not yet recorded.
    """

    tasks: int
    victim: Victim
    done_before: int
    done_by_victim: int
    seconds_after_kill: float | None
    missing: int
    begun_again: int
    done_again: int
    fan_ins: int


def run_killed(name: str, options: PeerOptions, plan: Plan, victim: Victim) -> Killed:
    """One run. The worker that is killed is the one that fanned out, or the other. Raises PeerFailedError."""
    with peer_run(name, options) as run, run.workers() as workers:
        run.warm_up("fan")
        run.watch.forget_items()
        before, ends = run.watch.by_process(), len(run.watch.ends())
        half = sum(before.values()) + plan.tasks // 2
        with run.calling("fan", str(plan.tasks)):
            wait(lambda: run.watch.done() >= half, RUN_SECONDS, "half of the tasks")
            groups = {pid: os.getpgid(pid) for pid in run.watch.by_process()}
            killed_at, group = time.time(), _group(groups, run.watch.planner(), victim)
            workers.kill(group)
            done = {pid: times - before.get(pid, 0) for pid, times in run.watch.by_process().items()}
            if plan.restart:
                workers.start()
            ended = _ends(run.watch, ends, plan.limit)
        missing = plan.tasks - len(run.watch.finished())
        time.sleep(SETTLE_SECONDS)
        return Killed(
            tasks=plan.tasks,
            victim=victim,
            done_before=sum(done.values()),
            done_by_victim=sum(times for pid, times in done.items() if groups.get(pid) == group),
            seconds_after_kill=round(run.watch.ends()[ends] - killed_at, 2) if ended else None,
            missing=missing,
            begun_again=_repeated(run.watch.begun()),
            done_again=_repeated(run.watch.finished()),
            fan_ins=len(run.watch.ends()) - ends,
        )


def _ends(watch: Watch, before: int, limit: float) -> bool:
    """Whether the job ends within the limit."""
    try:
        wait(lambda: len(watch.ends()) > before, limit, "the end of the job")
    except TimeoutError:
        return False
    return True


def _repeated(items: Counter[str]) -> int:
    """The number of tasks that appear more than once."""
    return sum(times > 1 for times in items.values())


def _group(groups: dict[int, int], planner: int, victim: Victim) -> int:
    """The process group of the worker to kill: a peer may run tasks in children of its workers."""
    if victim == "planner":
        return groups[planner]
    return next(group for group in groups.values() if group != groups[planner])

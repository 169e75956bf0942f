"""What becomes of a job when one of its two workers is killed after half of the tasks."""

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from stage import PATIENCE, Where, stage
from watch import Watch, wait

Victim = Literal["planner", "other"]
SETTLE = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: how many tasks, how long to wait for the job's end, and whether a worker is started instead."""

    tasks: int
    limit: float
    restart: bool


@dataclass(frozen=True, slots=True)
class Killed:
    """What became of the job. `missing` tasks had not been done when it ended, or when the limit was over.

    A task that is begun again may have been under way; one that is done again had been done, and its end not yet kept.
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


def run_killed(name: str, where: Where, plan: Plan, victim: Victim) -> Killed:
    """One run. The worker that is killed is the one that fanned out, or the other. Raises PeerFailedError."""
    with stage(name, where) as found, found.workers() as workers:
        found.wake("fan")
        found.watch.forget_items()
        before, ends = found.watch.by_process(), len(found.watch.ends())
        half = sum(before.values()) + plan.tasks // 2
        with found.calling("fan", str(plan.tasks)):
            wait(lambda: found.watch.done() >= half, PATIENCE, "half of the tasks")
            groups = {pid: os.getpgid(pid) for pid in found.watch.by_process()}
            killed_at, group = time.time(), _group(groups, found.watch.planner(), victim)
            workers.kill(group)
            done = {pid: times - before.get(pid, 0) for pid, times in found.watch.by_process().items()}
            if plan.restart:
                workers.start()
            ended = _ends(found.watch, ends, plan.limit)
        missing = plan.tasks - len(found.watch.finished())
        time.sleep(SETTLE)
        return Killed(
            tasks=plan.tasks,
            victim=victim,
            done_before=sum(done.values()),
            done_by_victim=sum(times for pid, times in done.items() if groups.get(pid) == group),
            seconds_after_kill=round(found.watch.ends()[ends] - killed_at, 2) if ended else None,
            missing=missing,
            begun_again=_again(found.watch.begun()),
            done_again=_again(found.watch.finished()),
            fan_ins=len(found.watch.ends()) - ends,
        )


def _ends(watch: Watch, before: int, limit: float) -> bool:
    """Whether the job ends within the limit."""
    try:
        wait(lambda: len(watch.ends()) > before, limit, "the end of the job")
    except TimeoutError:
        return False
    return True


def _again(items: Counter[str]) -> int:
    """How many tasks more than once."""
    return sum(times > 1 for times in items.values())


def _group(groups: dict[int, int], planner: int, victim: Victim) -> int:
    """The process group of the worker to be killed: a peer may run tasks in children of its workers."""
    if victim == "planner":
        return groups[planner]
    return next(group for group in groups.values() if group != groups[planner])

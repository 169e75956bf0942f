"""What can happen next: every action that some state allows.

Two reductions. A handler's end and the writing of its outcome are one action: until it is written an outcome changes
nothing that others see, and any outcome may come at any time. And what comes too late or twice (an outcome under a
lease that is another's or of a task that has moved, a message handled by somebody who holds it no more with a plan made
at any time, a rescue with a candidate read long ago) is one action, tried in every state: it must change nothing. So
a worker that has lost its lease need not be remembered: whatever it may still do is tried, alone and (in `batches`) in
one transaction with an outcome of the worker that holds the task now, which may be the same one.

That one connection of a worker stands still while its others live is covered by this. Its outcome is held back while
its lease is renewed: the outcome is written later. Its renewals stand still while its outcomes go through: a lease may
run out under a worker that settles in time, or be taken away before it does. The answer to its claim comes late: a
claim is followed by nothing until its worker settles, and by a late outcome where the lease was lost before.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model import flow
from tests.model.outcomes import Arrival
from tests.model.state import State, Worker, World, holders, is_over, still_open

LATE = ("completed", "failed", "released", "cancelled", "expired", "overdue")


class Action(NamedTuple):
    """`fair` actions happen sooner or later where they can: time passes, and workers work. Faults are not fair."""

    name: str
    worker: int = -1
    stage: int = -1
    task: int = -1
    how: str = ""
    fair: bool = True
    batch: tuple[Arrival, ...] = ()


def actions(world: World, state: State) -> Iterator[Action]:
    """Every action that `state` allows."""
    free = next((at for at, one in enumerate(state.workers) if one is None), -1)
    yield from _of_users(world, state)
    yield from _of_reconciler(world, state)
    yield from _of_time(world, state)
    yield from _of_message(world, state, free)
    yield from _of_tasks(world, state, free)
    yield from _of_callback(world, state, free)
    for at, one in enumerate(state.workers):
        if one is not None:
            yield from _of_worker(world, state, at, one)
            yield Action("crash", at, fair=False)


def _of_users(world: World, state: State) -> Iterator[Action]:
    ended = state.job.status in world.ends["job"]
    if state.cancels and not ended:
        yield Action("cancel", fair=False)
    if state.resumes and ended and world.lifecycle("job").by_name[state.job.status].failure:
        yield Action("resume", fair=False)
    if not state.noticed:
        if world.keeps("poll"):
            yield Action("poll")
    elif world.losses and not ended:
        yield Action("lose notice", fair=False)


def _of_reconciler(world: World, state: State) -> Iterator[Action]:
    if not world.redrives:
        return
    running = [number for number, stage in enumerate(state.stages) if stage.status == "processing"]
    if state.job.status == "processing" and state.job.message is None and not running:
        yield Action("repost")
    for number in running:
        if not still_open(state.stages[number]):
            yield Action("close counted", stage=number)


def _of_time(world: World, state: State) -> Iterator[Action]:
    number = flow.open_stage(state)
    stopped = number is not None and state.stages[number].stop
    if state.job.deadline == "ahead":
        yield Action("pass deadline")
    if world.deadline and world.keeps("deadline"):
        yield Action("end overdue job", fair=state.job.deadline == "past" and not stopped)
    if number is not None and stopped and not state.stages[number].waited and not world.timeouts:
        yield Action("pass grace", stage=number)


def _of_time_of_task(world: World, state: State, number: int, index: int) -> Iterator[Action]:
    row, over = state.tasks[number][index], is_over(world, state, number, index)
    if world.timeouts and not row.over:
        yield Action("pass timeout", stage=number, task=index)
    ends = world.keeps("timeout" if world.timeouts else "stop grace")
    if (over and ends) or not world.keeps("in time"):
        yield Action("end overdue task", stage=number, task=index, fair=over and not row.expired)


def _of_message(world: World, state: State, free: int) -> Iterator[Action]:
    message = state.job.message
    held = any(one and one.kind == "message" for one in state.workers)
    if message in {"due", "late"} and free >= 0 and state.noticed:
        yield Action("claim message", free)
    if message == "held" and world.keeps("redelivery"):
        yield Action("message late", fair=not held)
    if message == "late" and held:
        yield Action("renew message")
    for step in ("finalize", *(f"open:{number}" for number in range(world.stages)), "nothing"):
        yield Action("stale message", how=step, fair=False)


def _of_tasks(world: World, state: State, free: int) -> Iterator[Action]:
    for number, rows in enumerate(state.tasks):
        for index, row in enumerate(rows):
            if index and _alike(state, number, index):
                continue
            for outcome in LATE:
                yield Action("late outcome", stage=number, task=index, how=outcome, fair=False)
            claimable = row.status == "queued" or not world.keeps("claim source")
            if claimable and free >= 0 and state.noticed:
                yield Action("claim task", free, number, index)
            if row.status == "processing":
                yield from _of_time_of_task(world, state, number, index)
                held = any(holders(state, number, index))
                if not row.expired:
                    yield Action("expire task", stage=number, task=index, fair=not held)
                elif held:
                    yield Action("renew task", stage=number, task=index)
                if world.keeps("rescue"):
                    yield Action("rescue task", stage=number, task=index, fair=row.expired)


def _alike(state: State, stage: int, task: int) -> bool:
    """Whether a task is as the one before it: then nothing can happen to it that cannot happen to that one."""
    rows = state.tasks[stage]
    return rows[task] == rows[task - 1] and not [*holders(state, stage, task), *holders(state, stage, task - 1)]


def _of_callback(world: World, state: State, free: int) -> Iterator[Action]:
    row = state.callback
    if row is None:
        return
    for outcome in LATE[:3]:
        yield Action("late callback", how=outcome, fair=False)
    held = any(one and one.kind == "callback" for one in state.workers)
    if row.status == "queued" and free >= 0 and state.noticed:
        yield Action("claim callback", free)
    if row.status == "processing":
        if not row.expired:
            yield Action("expire callback", fair=not held)
        elif world.keeps("callback rescue"):
            yield Action("rescue callback")


def _of_worker(world: World, state: State, at: int, worker: Worker) -> Iterator[Action]:
    if worker.kind == "message":
        if worker.plan is None:
            yield Action("see", at)
        else:
            yield Action("handle", at)
            if world.finalizer_fails and worker.plan == "finalize":
                yield Action("handle", at, how="fails")
    elif worker.kind == "advance":
        yield Action("advance", at)
    elif worker.kind == "callback":
        yield from (Action("settle", at, how=outcome, fair=outcome != "released") for outcome in LATE[:3])
    elif not world.keeps("locks") and worker.seen is None:
        yield Action("read", at)
    else:
        stopped = ("cancelled",) if state.stages[worker.stage].stop else ()
        for outcome in ("completed", "failed", "hopeless", "released", *stopped):
            yield Action("settle", at, how=outcome, fair=outcome != "released" and not world.stuck)

"""What can happen next: every action that some state allows, and the state that it leads to.

Two reductions. A handler's end and the writing of its outcome are one action: until it is written an outcome changes
nothing that others see, and any outcome may come at any time. And what comes too late or twice (an outcome under a
lease that is another's or of a task that has moved, a message handled by somebody who holds it no more with a plan made
at any time, a rescue with a candidate read long ago) is one action, tried in every state: it must change nothing. So
a worker that has lost its lease need not be remembered: whatever it may still do is tried.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.model import flow
from tests.model.draft import Draft, ViolationError
from tests.model.state import State, Worker, World, holders, still_open

LATE = ("completed", "failed", "released", "expired")


class Action(NamedTuple):
    """`fair` actions happen sooner or later where they can: time passes, and workers work. Faults are not fair."""

    name: str
    worker: int = -1
    stage: int = -1
    task: int = -1
    how: str = ""
    fair: bool = True


def actions(world: World, state: State) -> Iterator[Action]:
    """Every action that `state` allows."""
    free = next((at for at, one in enumerate(state.workers) if one is None), -1)
    yield from _of_users(world, state)
    yield from _of_reconciler(world, state)
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
            yield Action("settle", at, how=outcome, fair=outcome != "released")


def after(world: World, state: State, action: Action) -> State:
    """The state that `action` leads to. Raises ViolationError where something happens that must not."""
    draft = Draft(world, state)
    _DEEDS[action.name](draft, action)
    return draft.done()


def _busy(draft: Draft, action: Action) -> Worker:
    worker = draft.workers[action.worker]
    assert worker is not None, action
    return worker


def _claim_message(draft: Draft, action: Action) -> None:
    draft.post("held")
    draft.workers[action.worker] = Worker("message")


def _see(draft: Draft, action: Action) -> None:
    draft.workers[action.worker] = _busy(draft, action)._replace(plan=flow.next_step(draft))


def _handle(draft: Draft, action: Action) -> None:
    worker = _busy(draft, action)
    draft.workers[action.worker] = None
    flow.handle(draft, worker, fails=action.how == "fails")


def _stale_message(draft: Draft, action: Action) -> None:
    flow.handle(draft, Worker("message", current=False, plan=action.how))


def _claim_task(draft: Draft, action: Action) -> None:
    row = draft.task(action.stage, action.task)
    if draft.stages[action.stage].stop:
        raise ViolationError("started late", "a task was started in a stage that had been stopped")
    status = draft.fired("task", row.status, "claim")
    draft.put_task(action.stage, action.task, row._replace(status=status, expired=False))
    draft.free("task", action.stage, action.task)
    draft.workers[action.worker] = Worker("task", stage=action.stage, task=action.task)


def _read(draft: Draft, action: Action) -> None:
    worker = _busy(draft, action)
    stage = draft.stages[worker.stage]
    draft.workers[action.worker] = worker._replace(seen=(stage.completed, stage.failed, stage.cancelled))


def _settle(draft: Draft, action: Action) -> None:
    worker = _busy(draft, action)
    draft.workers[action.worker] = None
    if worker.kind == "callback":
        flow.settle_callback(draft, worker, action.how)
        return
    flow.settle(draft, worker, action.how)
    status = draft.task(worker.stage, worker.task).status
    if not draft.world.keeps("advance") and status in flow.COUNTER:
        draft.workers[action.worker] = Worker("advance", plan=status, stage=worker.stage)


def _late_outcome(draft: Draft, action: Action) -> None:
    """Under the number of an earlier lease where the task is being run, else under that of its last one."""
    row = draft.task(action.stage, action.task)
    late = Worker("task", current=row.status != "processing", stage=action.stage, task=action.task)
    flow.settle(draft, late, action.how)


def _late_callback(draft: Draft, action: Action) -> None:
    assert draft.callback is not None
    flow.settle_callback(draft, Worker("callback", current=draft.callback.status != "processing"), action.how)


def _advance(draft: Draft, action: Action) -> None:
    worker = _busy(draft, action)
    draft.workers[action.worker] = None
    flow.advance(draft, worker.stage, worker.plan or "")


def _rescue_task(draft: Draft, action: Action) -> None:
    flow.settle(draft, Worker("task", stage=action.stage, task=action.task), "expired")


def _lease(draft: Draft, action: Action) -> None:
    row = draft.task(action.stage, action.task)
    draft.put_task(action.stage, action.task, row._replace(expired=action.name == "expire task"))


def _claim_callback(draft: Draft, action: Action) -> None:
    assert draft.callback is not None
    status = draft.fired("callback", draft.callback.status, "claim")
    draft.callback = draft.callback._replace(status=status, expired=False)
    draft.free("callback")
    draft.workers[action.worker] = Worker("callback")


def _expire_callback(draft: Draft, _: Action) -> None:
    assert draft.callback is not None
    draft.callback = draft.callback._replace(expired=True)


def _crash(draft: Draft, action: Action) -> None:
    draft.workers[action.worker] = None


def _set_notice(draft: Draft, action: Action) -> None:
    draft.noticed = action.name == "poll"


def _set_message(draft: Draft, action: Action) -> None:
    draft.job = draft.job._replace(message="held" if action.name == "renew message" else "late")


_DEEDS: Mapping[str, Callable[[Draft, Action], None]] = {
    "cancel": lambda draft, _: flow.cancel(draft),
    "resume": lambda draft, _: flow.resume(draft),
    "poll": _set_notice,
    "lose notice": _set_notice,
    "repost": lambda draft, _: draft.post("due"),
    "close counted": lambda draft, action: flow.close(draft, action.stage),
    "claim message": _claim_message,
    "message late": _set_message,
    "renew message": _set_message,
    "stale message": _stale_message,
    "see": _see,
    "handle": _handle,
    "claim task": _claim_task,
    "expire task": _lease,
    "renew task": _lease,
    "rescue task": _rescue_task,
    "read": _read,
    "settle": _settle,
    "late outcome": _late_outcome,
    "late callback": _late_callback,
    "advance": _advance,
    "claim callback": _claim_callback,
    "expire callback": _expire_callback,
    "rescue callback": lambda draft, _: flow.settle_callback(draft, Worker("callback"), "expired"),
    "crash": _crash,
}

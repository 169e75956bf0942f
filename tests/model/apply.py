"""What each action does: the state that it leads to."""

from collections.abc import Callable, Mapping

from tests.model import flow
from tests.model.actions import Action
from tests.model.draft import Draft, RefusedError, ViolationError
from tests.model.outcomes import Arrival, settle
from tests.model.state import State, Worker, World, is_over


def after(world: World, state: State, action: Action) -> State:
    """The state that `action` leads to. Raises ViolationError if something happens that must not.

    A batch that the database refuses changes nothing, and its outcomes are written one by one.
    """
    draft = Draft(world, state)
    _EFFECTS[action.name](draft, action)
    try:
        return draft.done()
    except RefusedError:
        if len(action.batch) < 2:
            raise
        return one_by_one(world, state, action)


def one_by_one(world: World, state: State, batch: Action) -> State:
    """The state that the outcomes of a batch lead to, each written in a separate transaction."""
    for arrival in batch.batch:
        state = after(world, state, batch._replace(batch=(arrival,)))
    return state


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
    draft.put_task(action.stage, action.task, row._replace(status=status, expired=False, over=False))
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
    settle(draft, Arrival(worker.stage, worker.task, action.how, worker=action.worker, seen=worker.seen))
    status = draft.task(worker.stage, worker.task).status
    if not draft.world.keeps("advance") and status in flow.COUNTER:
        draft.workers[action.worker] = Worker("advance", plan=status, stage=worker.stage)


def _late_outcome(draft: Draft, action: Action) -> None:
    """Under the number of an earlier lease where the task is being run, else under that of its last one."""
    row = draft.task(action.stage, action.task)
    settle(draft, Arrival(action.stage, action.task, action.how, current=row.status != "processing"))


def _settle_batch(draft: Draft, action: Action) -> None:
    for arrival in action.batch:
        if arrival.worker >= 0:
            draft.workers[arrival.worker] = None
    settle(draft, *action.batch)


def _late_callback(draft: Draft, action: Action) -> None:
    assert draft.callback is not None
    flow.settle_callback(draft, Worker("callback", current=draft.callback.status != "processing"), action.how)


def _advance(draft: Draft, action: Action) -> None:
    worker = _busy(draft, action)
    draft.workers[action.worker] = None
    flow.advance(draft, worker.stage, {worker.plan or "": 1})


def _rescue_task(draft: Draft, action: Action) -> None:
    settle(draft, Arrival(action.stage, action.task, "expired"))


def _end_overdue_task(draft: Draft, action: Action) -> None:
    if not is_over(draft.world, draft.before, action.stage, action.task):
        raise ViolationError("too soon", "a task was taken from a worker that had time left")
    settle(draft, Arrival(action.stage, action.task, "overdue"))


def _pass_timeout(draft: Draft, action: Action) -> None:
    row = draft.task(action.stage, action.task)
    draft.put_task(action.stage, action.task, row._replace(over=True))


def _pass_grace(draft: Draft, action: Action) -> None:
    draft.stages[action.stage] = draft.stages[action.stage]._replace(waited=True)


def _pass_deadline(draft: Draft, _: Action) -> None:
    draft.job = draft.job._replace(deadline="past")


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


_EFFECTS: Mapping[str, Callable[[Draft, Action], None]] = {
    "cancel": lambda draft, _: flow.cancel(draft),
    "resume": lambda draft, _: flow.resume(draft),
    "poll": _set_notice,
    "lose notice": _set_notice,
    "repost": lambda draft, _: draft.post("due"),
    "close counted": lambda draft, action: flow.close(draft, action.stage),
    "pass deadline": _pass_deadline,
    "pass timeout": _pass_timeout,
    "pass grace": _pass_grace,
    "end overdue job": lambda draft, _: flow.end_overdue(draft),
    "end overdue task": _end_overdue_task,
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
    "settle batch": _settle_batch,
    "late outcome": _late_outcome,
    "late callback": _late_callback,
    "advance": _advance,
    "claim callback": _claim_callback,
    "expire callback": _expire_callback,
    "rescue callback": lambda draft, _: flow.settle_callback(draft, Worker("callback"), "expired"),
    "crash": _crash,
}

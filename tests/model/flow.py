"""What each transaction of the flow does, as `runtime/flow` says it, without the database."""

from collections.abc import Mapping

from tests.model.draft import Draft, ViolationError
from tests.model.state import State, TaskRow, Worker, still_open

COUNTER = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


def next_step(state: State | Draft) -> str:
    """What a message leads to: open:N, finalize or nothing."""
    if state.job.status not in {"queued", "processing"}:
        return "nothing"
    for number, stage in enumerate(state.stages):
        if stage.status == "pending":
            return f"open:{number}"
        if stage.status != "completed":
            return "nothing"
    return "finalize"


def handle(draft: Draft, worker: Worker, *, fails: bool = False) -> None:
    """The transaction that a message leads to, with the step that was seen before it began."""
    step = worker.plan or ""
    if step == "nothing":
        _acknowledge(draft, worker)
    elif step == "finalize":
        _finalize(draft, worker, fails=fails)
    else:
        _open(draft, worker, int(step.split(":")[1]))


def _acknowledge(draft: Draft, worker: Worker) -> None:
    if (worker.current or not draft.world.keeps("acknowledge")) and draft.job.status == "processing":
        draft.post(None)


def _start(draft: Draft) -> None:
    if draft.job.status == draft.world.initial("job"):
        draft.move_job("start")


def _open(draft: Draft, worker: Worker, number: int) -> None:
    stage = draft.stages[number]
    if draft.world.keeps("pending") and not (worker.current and stage.status == draft.world.initial("stage")):
        return
    _start(draft)
    again = stage.failed + stage.cancelled if stage.total else 0
    total = stage.total or draft.world.tasks
    draft.stages[number] = stage._replace(total=total, failed=0, cancelled=0)
    draft.move_stage(number, "open")
    if again:
        moved = 0
        if draft.world.keeps("again"):
            moved = sum(
                draft.move_tasks(number, state, "resume", draft.world.max_attempts) for state in ("failed", "cancelled")
            )
        if moved != again:
            raise ViolationError("counters", f"{moved} tasks queued again where the counters say {again}")
    elif not stage.total:
        draft.tasks[number] = (TaskRow(draft.world.initial("task"), 1, draft.world.max_attempts),) * total
    draft.post(None)
    if not still_open(draft.stages[number]):
        close(draft, number)


def _finalize(draft: Draft, worker: Worker, *, fails: bool) -> None:
    world = draft.world
    if world.keeps("under way"):
        if not worker.current or draft.job.status not in {"queued", "processing"}:
            return
        _start(draft)
    draft.move_job("fail" if fails else "complete")
    if not fails and world.callback and world.keeps("owed"):
        draft.callback = TaskRow(world.initial("callback"), 1, world.max_attempts)


def advance(draft: Draft, number: int, ended: Mapping[str, int], seen: tuple[int, ...] | None = None) -> None:
    """Count tasks that ended, stop their siblings under fail_fast, and close the stage if they were the last."""
    stage = draft.stages[number]
    if seen is not None:
        stage = stage._replace(completed=seen[0], failed=seen[1], cancelled=seen[2])
    for status, more in ended.items():
        stage = stage._replace(**{COUNTER[status]: getattr(stage, COUNTER[status]) + more})
    draft.stages[number] = stage
    if "failed" in ended and draft.world.policy == "fail_fast" and not stage.stop:
        stop(draft, number, "fail_fast")
    if still_open(draft.stages[number]) <= 0 or not draft.world.keeps("whole"):
        close(draft, number)


def stop(draft: Draft, number: int, reason: str) -> None:
    """Cancel what has not started, and ask the rest to stop."""
    if draft.stages[number].stop == "cancel":
        raise ViolationError("wish forgotten", f"a stage that was asked to stop for a cancel stops for {reason}")
    moved = draft.move_tasks(number, "queued", "cancel") if draft.world.keeps("sweep") else 0
    stage = draft.stages[number]
    draft.stages[number] = stage._replace(cancelled=stage.cancelled + moved, stop=reason)


def close(draft: Draft, number: int) -> None:
    """Close a stage, and do what follows: a message for the next, or the end of the job."""
    stage = draft.stages[number]
    if stage.stop == "cancel":
        trigger = "cancel"
    elif stage.failed or (stage.stop == "deadline" and draft.world.keeps("deadline fails")):
        trigger = "fail"
    else:
        trigger = "cancel" if stage.cancelled else "complete"
    draft.move_stage(number, trigger)
    if trigger == "complete":
        if draft.world.keeps("post"):
            draft.post("due")
        return
    end(draft, trigger)


def end(draft: Draft, trigger: str) -> None:
    """End the job with the stages that were never opened."""
    if draft.world.keeps("skip"):
        draft.move_stages("pending", "skip")
    draft.move_job(trigger)


def cancel(draft: Draft) -> None:
    """What a user asks for: at once where nothing runs, else as soon as it has ended."""
    number = open_stage(draft)
    draft.cancels -= 1
    if number is None:
        end(draft, "cancel")
    elif draft.stages[number].stop != "cancel":
        stop_open(draft, number, "cancel")


def end_overdue(draft: Draft) -> None:
    """What a reconciler does with a job that it took to be past its deadline."""
    world, number = draft.world, open_stage(draft)
    past = draft.job.deadline == "past"
    if not past and world.keeps("deadline again"):
        return
    if number is not None and draft.stages[number].stop and world.keeps("asked"):
        return
    if not past:
        raise ViolationError("too soon", "a job was ended for a deadline that it has not passed")
    if number is None:
        end(draft, "fail")
    else:
        stop_open(draft, number, "deadline")


def open_stage(state: State | Draft) -> int | None:
    """The stage that is under way."""
    return next((number for number, stage in enumerate(state.stages) if stage.status == "processing"), None)


def stop_open(draft: Draft, number: int, reason: str) -> None:
    """Stop an open stage, and close it where nothing of it runs."""
    stop(draft, number, reason)
    if not still_open(draft.stages[number]):
        close(draft, number)


def resume(draft: Draft) -> None:
    """What a user asks for after a failure."""
    draft.resumes -= 1
    draft.move_job("resume")
    draft.post("due")
    if draft.world.keeps("new deadline"):
        draft.job = draft.job._replace(deadline=draft.world.time)
    if draft.world.keeps("resume stages"):
        for state in ("failed", "cancelled"):
            draft.move_stages(state, "resume")


def settle_callback(draft: Draft, worker: Worker, outcome: str) -> None:
    """Write the outcome of a callback, or of the worker that ran it."""
    row, world = draft.callback, draft.world
    if row is None or (outcome == "expired" and not row.expired):
        return
    if row.status != "processing" or not (worker.current or not world.keeps("callback fence")):
        return
    if not worker.current:
        raise ViolationError("late outcome", f"a callback {outcome} under a lease that is another's")
    trigger = {"completed": "complete", "failed": "retry", "released": "release", "expired": "rescue"}[outcome]
    if (trigger == "retry" and row.attempt >= row.max_attempts) or (
        trigger == "rescue" and row.rescues >= world.max_rescues
    ):
        trigger = "fail"
    status = draft.fired("callback", row.status, trigger)
    draft.free("callback")
    attempt, rescues = row.attempt + (trigger == "retry"), row.rescues + (trigger == "rescue")
    draft.callback = TaskRow(status, attempt, row.max_attempts, rescues)

"""What each transaction of the flow does, as `runtime/flow` says it, without the database."""

from tests.model.draft import Draft, ViolationError
from tests.model.state import StageRow, State, TaskRow, Worker, still_open

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
    if draft.job.status == draft.world.born("job"):
        draft.move_job("start")


def _open(draft: Draft, worker: Worker, number: int) -> None:
    stage = draft.stages[number]
    if draft.world.keeps("pending") and not (worker.current and stage.status == draft.world.born("stage")):
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
        draft.tasks[number] = (TaskRow(draft.world.born("task"), 1, draft.world.max_attempts),) * total
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
        draft.callback = TaskRow(world.born("callback"), 1, world.max_attempts)


def decide(draft: Draft, row: TaskRow, stage: StageRow, outcome: str) -> str:
    """The trigger that an outcome fires."""
    world = draft.world
    if outcome == "completed":
        return "complete"
    if outcome == "failed":
        left = row.attempt < row.max_attempts or not world.keeps("max attempts")
        return "retry" if left and not stage.stop else "fail"
    if outcome == "hopeless":
        return "fail"
    if outcome == "cancelled" or stage.stop:
        return "cancel"
    if outcome == "released":
        return "release"
    return "rescue" if row.rescues < world.max_rescues or not world.keeps("max rescues") else "fail"


def settle(draft: Draft, worker: Worker, outcome: str) -> None:
    """Write an outcome, count it, and close the stage where it was the last; a late outcome changes nothing."""
    world, number, index = draft.world, worker.stage, worker.task
    row, stage = draft.task(number, index), draft.stages[number]
    if outcome == "expired" and world.keeps("rescue again") and not row.expired:
        return
    if (row.status != "processing" and world.keeps("source")) or not (worker.current or not world.keeps("fence")):
        return
    _right_to_settle(row, worker, outcome)
    trigger = decide(draft, row, stage, outcome)
    status = draft.fired("task", row.status, trigger)
    draft.put_task(
        number,
        index,
        TaskRow(status, row.attempt + (trigger == "retry"), row.max_attempts, row.rescues + (trigger == "rescue")),
    )
    if status in COUNTER and world.keeps("advance"):
        advance(draft, number, status, worker.seen)


def _right_to_settle(row: TaskRow, worker: Worker, outcome: str) -> None:
    if row.status != "processing":
        raise ViolationError("recorded twice", f"{outcome} was written over {row.status}")
    if not worker.current:
        raise ViolationError("late outcome", f"{outcome} was written under a lease that is another's")
    if outcome == "expired" and not row.expired:
        raise ViolationError("live lease", "a task was taken from a worker whose lease had not run out")


def advance(draft: Draft, number: int, ended: str, seen: tuple[int, ...] | None = None) -> None:
    """Count a task that ended, stop its siblings under fail_fast, and close the stage if it was the last."""
    stage = draft.stages[number]
    if seen is not None:
        stage = stage._replace(completed=seen[0], failed=seen[1], cancelled=seen[2])
    counter = COUNTER[ended]
    draft.stages[number] = stage = stage._replace(**{counter: getattr(stage, counter) + 1})
    if ended == "failed" and draft.world.policy == "fail_fast" and not stage.stop:
        stop(draft, number, "fail_fast")
    if not still_open(draft.stages[number]) or not draft.world.keeps("whole"):
        close(draft, number)


def stop(draft: Draft, number: int, reason: str) -> None:
    """Cancel what has not started, and ask the rest to stop."""
    moved = draft.move_tasks(number, "queued", "cancel") if draft.world.keeps("sweep") else 0
    stage = draft.stages[number]
    draft.stages[number] = stage._replace(cancelled=stage.cancelled + moved, stop=reason)


def close(draft: Draft, number: int) -> None:
    """Close a stage, and do what follows: a message for the next, or the end of the job."""
    stage = draft.stages[number]
    if stage.stop == "cancel":
        trigger = "cancel"
    elif stage.failed:
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
    running = [number for number, stage in enumerate(draft.stages) if stage.status == "processing"]
    draft.cancels -= 1
    if not running:
        end(draft, "cancel")
        return
    number = running[0]
    if draft.stages[number].stop != "cancel":
        stop(draft, number, "cancel")
        if not still_open(draft.stages[number]):
            close(draft, number)


def resume(draft: Draft) -> None:
    """What a user asks for after a failure."""
    draft.resumes -= 1
    draft.move_job("resume")
    draft.post("due")
    if draft.world.keeps("resume stages"):
        for state in ("failed", "cancelled"):
            draft.move_stages(state, "resume")


def settle_callback(draft: Draft, worker: Worker, outcome: str) -> None:
    """Write what became of a callback, or of the worker that ran it."""
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

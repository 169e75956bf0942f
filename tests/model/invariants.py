"""What must hold after every commit."""

from collections import Counter
from collections.abc import Iterator

from tests.model.state import COUNTED, StageRow, State, TaskRow, World, still_open


def broken(world: World, state: State) -> Iterator[tuple[str, str]]:
    """The invariants that `state` breaks: a kind in a word or two, and what is wrong."""
    job_ended = state.job.status in world.ends["job"]
    for number, (stage, tasks) in enumerate(zip(state.stages, state.tasks, strict=True)):
        yield from _stage(world, stage, tasks)
        if job_ended and stage.status not in world.ends["stage"]:
            yield "orphan", f"the job is {state.job.status}, stage {number} {stage.status}"
        if stage.status == "processing" and any(one.status != "completed" for one in state.stages[:number]):
            yield "early", f"stage {number} is open before those before it are completed"
        yield from _tasks(world, stage, tasks)
    if state.job.status == "completed" and any(row.status != "completed" for rows in state.tasks for row in rows):
        yield "part of its results", "the job is completed, and not each of its tasks"
    yield from _owner(state, ended=job_ended)
    if world.callback and (state.job.status == "completed") != (state.callback is not None):
        yield "callback", f"the job is {state.job.status}, its callback {state.callback}"


def _stage(world: World, stage: StageRow, tasks: tuple[TaskRow, ...]) -> Iterator[tuple[str, str]]:
    real = Counter(task.status for task in tasks)
    if stage.total != len(tasks) or any(getattr(stage, name) != real[name] for name in COUNTED):
        yield "counters", f"{stage} counts what is not so: {dict(real)}"
    if stage.openings != (stage.status == "processing"):
        yield "double close", f"{stage} was opened {stage.openings} times more than it was closed"
    ended = real["completed"] + real["failed"] + real["cancelled"]
    if stage.status in world.ends["stage"] and ended != len(tasks):
        yield "closed early", f"{stage} is closed and has tasks that have not ended"
    if stage.status == "processing" and not still_open(stage):
        yield "lost advancement", f"{stage} is open and every task has been counted"
    if stage.status == "completed" and real["completed"] != len(tasks):
        yield "false success", f"{stage} is completed, and not each of its tasks"


def _tasks(world: World, stage: StageRow, tasks: tuple[TaskRow, ...]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        if task.status not in world.ends["task"] and stage.status != "processing":
            yield "orphan", f"a task is {task.status}, its stage {stage.status}"
        if task.attempt > task.max_attempts or task.rescues > world.max_rescues:
            yield "without end", f"{task} has been tried too often"


def _owner(state: State, *, ended: bool) -> Iterator[tuple[str, str]]:
    """Each row that has not ended has an owner (invariant 4)."""
    opened = any(stage.status == "processing" for stage in state.stages)
    message = state.job.message
    if not ended and message is None and (state.job.status == "queued" or not opened):
        yield "no owner", f"the job is {state.job.status}, and has no owner"
    if ended and message is not None:
        yield "no owner", f"the job is {state.job.status}, and a message is {message}"

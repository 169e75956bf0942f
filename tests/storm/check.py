"""Checks of a job that has ended: pure functions of the rows, the events and the lines of the handlers."""

from collections import Counter
from collections.abc import Iterator, Mapping

from coremachine.runtime.soak.check import END_EVENTS
from coremachine.runtime.store.session import Row
from coremachine.statemachine.lifecycles import STAGE, TASK
from tests.storm.plan import PlannedError, fails, is_doomed, planned_end, planned_result, tasks_of
from tests.storm.snapshot import JobSnapshot

COUNTERS = {"tasks_completed": "completed", "tasks_failed": "failed", "tasks_cancelled": "cancelled"}


def check_job(snapshot: JobSnapshot) -> list[str]:
    """What is wrong with a job that has ended; empty if nothing is."""
    return [
        *_end_problems(snapshot),
        *(problem for stage in snapshot.stages for problem in _stage_problems(snapshot, stage)),
        *(
            f"task-{task['task_number']:03} ({task['task_id']}): {problem}"
            for task in snapshot.tasks
            for problem in _task_problems(snapshot, task)
        ),
    ]


def stuck(open_for: Mapping[str, float], limit: float) -> list[str]:
    """The jobs that have been open for longer than `limit` seconds."""
    return [job_id for job_id, seconds in open_for.items() if seconds > limit]


def late_effects(snapshot: JobSnapshot) -> int:
    """How many effects were written after their stage had closed. That is allowed: effects happen at least once."""
    closed = {
        stage["name"]: stage["finished_at"].timestamp() for stage in snapshot.stages if stage["finished_at"] is not None
    }
    return sum(line.what == "end" and line.stage in closed and line.at > closed[line.stage] for line in snapshot.lines)


def repeated_runs(snapshot: JobSnapshot) -> int:
    """How many times a handler began more than once for an attempt."""
    begun = Counter((line.stage, line.index, line.attempt) for line in snapshot.lines if line.what == "begin")
    return begun.total() - len(begun)


def _end_problems(snapshot: JobSnapshot) -> Iterator[str]:
    job_type, status = snapshot.job["job_type"], snapshot.job["status"]
    planned = planned_end(job_type, snapshot.seed)
    if status != planned:
        yield f"the job is {status}, but was planned to be {planned}; error {snapshot.job['error']}"
    expected = planned_result(job_type, snapshot.seed)
    if status == "completed" and snapshot.job["result"] != expected:
        yield f"the result is {snapshot.job['result']}, not {expected}"
    ends = [event["event_type"] for event in snapshot.events if event["event_type"] in END_EVENTS]
    if len(ends) != 1:
        yield f"the job has ended {len(ends)} times: {ends}"


def _stage_problems(snapshot: JobSnapshot, stage: Row) -> Iterator[str]:
    tasks, name = snapshot.tasks_of(stage), stage["name"]
    if not STAGE.by_name[stage["status"]].terminal:
        yield f"stage {name} is {stage['status']}"
    children = Counter(task["status"] for task in tasks)
    counted = {"tasks_total": len(tasks)} | {column: children[status] for column, status in COUNTERS.items()}
    for column, number in counted.items():
        if stage[column] != number:
            yield f"stage {name} has {column} {stage[column]}, but {number} such tasks"
    opened = stage["started_at"] is not None
    if opened and len(tasks) != tasks_of(name, snapshot.seed):
        yield f"stage {name} has {len(tasks)} tasks, not {tasks_of(name, snapshot.seed)}"
    if stage["status"] == "completed":
        for task in tasks:
            if task["status"] != "completed":
                yield f"stage {name} is completed, but its task {task['task_id']} is {task['status']}"


def _task_problems(snapshot: JobSnapshot, task: Row) -> Iterator[str]:
    status, index, stage = task["status"], task["task_index"], snapshot.stage_of(task)
    completions = snapshot.events_of("task_completed", task)
    if not TASK.by_name[status].terminal:
        yield f"it is {status}"
    if len(completions) != (status == "completed"):
        yield f"it is {status} with {len(completions)} task_completed"
    if status == "completed":
        ended = {
            line.lease_number for line in snapshot.lines if (line.what, line.stage, line.index) == ("end", stage, index)
        }
        if not ended or not {event["lease_number"] for event in completions} <= ended:
            leases = [event["lease_number"] for event in completions]
            yield f"it was completed under lease {leases}, but has effects under {sorted(ended)}"
        if is_doomed(snapshot.seed, stage, index):
            yield "it is completed, but was planned to fail for good"
    if status == "failed":
        yield from _failure_problems(snapshot, task, stage)


def _failure_problems(snapshot: JobSnapshot, task: Row, stage: str) -> Iterator[str]:
    """A task may fail before its last attempt if its stage was asked to stop; an attempt may fail only as planned."""
    error, attempt = task["error"], task["attempt"]
    planned = fails(snapshot.seed, stage, task["task_index"], attempt)
    if not planned or error["type"] != PlannedError.__name__:
        yield f"attempt {attempt} failed with {error}, but was {'' if planned else 'not '}planned to fail"
    stopped = any(
        is_doomed(snapshot.seed, stage, other["task_index"]) and other["status"] == "failed"
        for other in snapshot.tasks
        if other["stage"] == task["stage"]
    )
    if attempt < task["max_attempts"] and not stopped:
        yield f"it failed at attempt {attempt} of {task['max_attempts']}, but nothing had asked its stage to stop"

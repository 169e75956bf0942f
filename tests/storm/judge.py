"""The verdict on a job that has ended: pure functions over what the database and the handlers left."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from coremachine.runtime.store.session import Row
from coremachine.statemachine.lifecycles import JOB, STAGE, TASK
from tests.storm.evidence import Evidence
from tests.storm.plan import PlannedError, fails, is_doomed, planned_end, planned_result, tasks_of

ENDS = {edge.transition.event.type for edge in JOB.edges if JOB.by_name[edge.target].terminal}
COUNTERS = {"tasks_completed": "completed", "tasks_failed": "failed", "tasks_cancelled": "cancelled"}


def judge(evidence: Evidence) -> list[str]:
    """What is wrong with a job that has ended; empty where all is as it should be."""
    return [
        *_wrong_end(evidence),
        *(problem for stage in evidence.stages for problem in _wrong_stage(evidence, stage)),
        *(
            f"task-{task['task_number']:03} ({task['task_id']}): {problem}"
            for task in evidence.tasks
            for problem in _wrong_task(evidence, task)
        ),
    ]


def stuck(open_for: Mapping[str, float], limit: float) -> list[str]:
    """The jobs that have been open for longer than `limit` seconds."""
    return [job_id for job_id, seconds in open_for.items() if seconds > limit]


def late_effects(evidence: Evidence) -> int:
    """How many effects were left after their stage had closed. It happens: effects come at least once."""
    closed = {
        stage["name"]: stage["finished_at"].timestamp() for stage in evidence.stages if stage["finished_at"] is not None
    }
    return sum(line.what == "end" and line.stage in closed and line.at > closed[line.stage] for line in evidence.lines)


def repeated_runs(evidence: Evidence) -> int:
    """How many times a handler began beyond once for each attempt."""
    begun = Counter((line.stage, line.index, line.attempt) for line in evidence.lines if line.what == "begin")
    return begun.total() - len(begun)


def longest_standstill(evidence: Evidence) -> float:
    """The longest time, in seconds, between two events of the job until its end."""
    gaps = [0.0]
    for before, after in pairwise(evidence.events):
        if before["event_type"] in ENDS:
            break
        gaps.append((after["created_at"] - before["created_at"]).total_seconds())
    return max(gaps)


def _wrong_end(evidence: Evidence) -> Iterator[str]:
    job_type, status = evidence.job["job_type"], evidence.job["status"]
    planned = planned_end(job_type, evidence.seed)
    if status != planned:
        yield f"the job is {status}, and was to be {planned}; error {evidence.job['error']}"
    expected = planned_result(job_type, evidence.seed)
    if status == "completed" and evidence.job["result"] != expected:
        yield f"the result is {evidence.job['result']}, not {expected}"
    told = [event["event_type"] for event in evidence.events if event["event_type"] in ENDS]
    if len(told) != 1:
        yield f"the job has ended {len(told)} times: {told}"


def _wrong_stage(evidence: Evidence, stage: Row) -> Iterator[str]:
    tasks, name = evidence.tasks_of(stage), stage["name"]
    if not STAGE.by_name[stage["status"]].terminal:
        yield f"stage {name} is {stage['status']}"
    children = Counter(task["status"] for task in tasks)
    counted = {"tasks_total": len(tasks)} | {column: children[status] for column, status in COUNTERS.items()}
    for column, number in counted.items():
        if stage[column] != number:
            yield f"stage {name} has {column} {stage[column]}, and {number} such tasks"
    opened = stage["started_at"] is not None
    if opened and len(tasks) != tasks_of(name, evidence.seed):
        yield f"stage {name} has {len(tasks)} tasks, not {tasks_of(name, evidence.seed)}"
    if stage["status"] == "completed":
        for task in tasks:
            if task["status"] != "completed":
                yield f"stage {name} is completed, and its task {task['task_id']} is {task['status']}"


def _wrong_task(evidence: Evidence, task: Row) -> Iterator[str]:
    status, index, stage = task["status"], task["task_index"], evidence.stage_of(task)
    told = evidence.events_of("task_completed", task)
    if not TASK.by_name[status].terminal:
        yield f"it is {status}"
    if len(told) != (status == "completed"):
        yield f"it is {status} with {len(told)} task_completed"
    if status == "completed":
        ended = {
            line.lease_number for line in evidence.lines if (line.what, line.stage, line.index) == ("end", stage, index)
        }
        if not ended or not {event["lease_number"] for event in told} <= ended:
            leases = [event["lease_number"] for event in told]
            yield f"it was completed under lease {leases}, and left effects under {sorted(ended)}"
        if is_doomed(evidence.seed, stage, index):
            yield "it is completed, and was to fail for good"
    if status == "failed":
        yield from _wrong_failure(evidence, task, stage)


def _wrong_failure(evidence: Evidence, task: Row, stage: str) -> Iterator[str]:
    """A task may fail before its last attempt, where its stage was asked to stop; an attempt, only as planned."""
    error, attempt = task["error"], task["attempt"]
    planned = fails(evidence.seed, stage, task["task_index"], attempt)
    if not planned or error["type"] != PlannedError.__name__:
        yield f"attempt {attempt} failed with {error}, and was {'to' if planned else 'not to'} fail"
    stopped = any(
        is_doomed(evidence.seed, stage, other["task_index"]) and other["status"] == "failed"
        for other in evidence.tasks
        if other["stage"] == task["stage"]
    )
    if attempt < task["max_attempts"] and not stopped:
        yield f"it failed at attempt {attempt} of {task['max_attempts']}, and nothing had asked its stage to stop"

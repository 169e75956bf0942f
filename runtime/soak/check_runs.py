"""Checks of the runs of tasks: each has a claim, each claim but the last was taken back, each result has its effect."""

from collections import Counter
from collections.abc import Iterator

from ...statemachine.lifecycles import TASK
from ..store.session import Row
from .plan import ERROR_TYPES, PlannedOutcome, planned_outcome
from .snapshot import JobSnapshot

CLAIM = "task_started"
TAKEN_BACK = ("task_retry_scheduled", "task_released", "task_rescued", "task_failed", "task_cancelled")
LEASE_EXPIRED = "LeaseExpired"


def run_problems(snapshot: JobSnapshot) -> Iterator[str]:
    """What is wrong with the tasks of a job."""
    known = {task["task_id"] for task in snapshot.tasks}
    for line in snapshot.lines:
        if line.what in {"start", "effect"} and line.task_id not in known:
            yield f"task {line.task_id} wrote a line, but there is no such task"
    for task in snapshot.tasks:
        for problem in _task_problems(snapshot, task):
            yield f"task-{task['task_number']:03} ({task['task_id']}): {problem}"


def _task_problems(snapshot: JobSnapshot, task: Row) -> Iterator[str]:
    if not TASK.by_name[task["status"]].terminal:
        yield f"it is {task['status']}"
    yield from _claim_problems(snapshot, task)
    yield from _line_problems(snapshot, task)
    yield from _completion_problems(snapshot, task)
    for failure in snapshot.events_of("task_retry_scheduled", "task_failed", task_id=task["task_id"]):
        yield from _failure_problems(snapshot, task, failure)


def _claim_problems(snapshot: JobSnapshot, task: Row) -> Iterator[str]:
    claims = [event["lease_number"] for event in snapshot.events_of(CLAIM, task_id=task["task_id"])]
    if claims != list(range(1, task["lease_number"] + 1)):
        yield f"it has lease number {task['lease_number']}, but was claimed as {claims}"
    back = {event["lease_number"] for event in snapshot.events_of(*TAKEN_BACK, task_id=task["task_id"])}
    for claim in claims[:-1]:
        if claim not in back:
            yield f"it was claimed again after lease {claim}, which had not been taken back"


def _line_problems(snapshot: JobSnapshot, task: Row) -> Iterator[str]:
    claims = {event["lease_number"] for event in snapshot.events_of(CLAIM, task_id=task["task_id"])}
    own = Counter((line.what, line.lease_number) for line in snapshot.lines if line.task_id == task["task_id"])
    for (what, lease), times in own.items():
        if lease not in claims:
            yield f"it wrote {what} under lease {lease}, which was never claimed"
        if times > 1:
            yield f"it wrote {what} {times} times under lease {lease}"
        if what == "effect" and not own["start", lease]:
            yield f"it wrote an effect under lease {lease}, but had not started"


def _completion_problems(snapshot: JobSnapshot, task: Row) -> Iterator[str]:
    completions = snapshot.events_of("task_completed", task_id=task["task_id"])
    if len(completions) != (task["status"] == "completed"):
        yield f"it is {task['status']} with {len(completions)} task_completed"
    effects = {
        line.lease_number for line in snapshot.lines if line.what == "effect" and line.task_id == task["task_id"]
    }
    for event in completions:
        if event["lease_number"] not in effects:
            yield f"it was completed under lease {event['lease_number']}, but has effects under {sorted(effects)}"
        if (planned := _planned(snapshot, task, event)) != "succeed":
            yield f"it was completed at attempt {event['attempt']}, which was planned to {planned}"


def _failure_problems(snapshot: JobSnapshot, task: Row, failure: Row) -> Iterator[str]:
    error = failure["event_data"]["error"]
    rescues = len(snapshot.events_of("task_rescued", task_id=task["task_id"]))
    if error["type"] == LEASE_EXPIRED:
        if rescues < task["max_rescues"]:
            yield f"it failed for good after {rescues} rescues of {task['max_rescues']}"
        return
    planned = _planned(snapshot, task, failure)
    if error["type"] != ERROR_TYPES.get(planned) and not _was_slow(snapshot, task, failure):
        yield (
            f"attempt {failure['attempt']} was planned to {planned}, but failed with"
            f" {error['type']}: {error['message']}"
        )
    if failure["event_type"] == "task_failed" and not _is_last(snapshot, failure):
        yield f"attempt {failure['attempt']} of {failure['event_data']['of']} was treated as the last one"


def _planned(snapshot: JobSnapshot, task: Row, event: Row) -> PlannedOutcome:
    return planned_outcome(snapshot.seed, snapshot.stage_of(task)["name"], task["task_index"], event["attempt"])


def _was_slow(snapshot: JobSnapshot, task: Row, failure: Row) -> bool:
    """Whether the attempt has used all of its time: on a machine that is busy enough anything may take too long."""
    timeout = snapshot.stage_of(task)["definition"]["timeout"]
    begun = [
        event["created_at"]
        for event in snapshot.events_of(CLAIM, task_id=task["task_id"])
        if event["lease_number"] == failure["lease_number"]
    ]
    if timeout is None or not begun or failure["event_data"]["error"]["type"] != ERROR_TYPES["hang"]:
        return False
    return bool((failure["created_at"] - begun[0]).total_seconds() >= timeout)


def _is_last(snapshot: JobSnapshot, failure: Row) -> bool:
    """Whether it was the last attempt: no attempt was left, or the stage had been asked to stop."""
    stopped = any(
        event["stage"] == failure["stage"] and event["event_id"] < failure["event_id"]
        for event in snapshot.events_of("stop_requested")
    )
    return stopped or failure["attempt"] >= failure["event_data"]["of"]

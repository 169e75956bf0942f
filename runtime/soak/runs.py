"""Judging the runs of tasks: each is a claim, each claim but the last was taken back, each result has its effect."""

from collections import Counter
from collections.abc import Iterator

from ...statemachine.lifecycles import TASK
from ..store.session import Row
from .evidence import Evidence
from .plan import ERROR_TYPES, Ending, ending

CLAIM = "task_started"
TAKEN_BACK = ("task_retry_scheduled", "task_released", "task_rescued", "task_failed", "task_cancelled")
LOST = "LeaseExpired"


def wrong_runs(evidence: Evidence) -> Iterator[str]:
    """What is wrong with the tasks of a job."""
    known = {task["task_id"] for task in evidence.tasks}
    for line in evidence.lines:
        if line.what in {"start", "effect"} and line.task_id not in known:
            yield f"task {line.task_id} left a line, and there is no such task"
    for task in evidence.tasks:
        for problem in _wrong_task(evidence, task):
            yield f"task-{task['task_number']:03} ({task['task_id']}): {problem}"


def _wrong_task(evidence: Evidence, task: Row) -> Iterator[str]:
    if not TASK.by_name[task["status"]].terminal:
        yield f"it is {task['status']}"
    yield from _wrong_claims(evidence, task)
    yield from _wrong_lines(evidence, task)
    yield from _wrong_completion(evidence, task)
    for failure in evidence.events_of("task_retry_scheduled", "task_failed", task_id=task["task_id"]):
        yield from _wrong_failure(evidence, task, failure)


def _wrong_claims(evidence: Evidence, task: Row) -> Iterator[str]:
    claims = [event["lease_number"] for event in evidence.events_of(CLAIM, task_id=task["task_id"])]
    if claims != list(range(1, task["lease_number"] + 1)):
        yield f"it has lease number {task['lease_number']}, and was claimed as {claims}"
    back = {event["lease_number"] for event in evidence.events_of(*TAKEN_BACK, task_id=task["task_id"])}
    for claim in claims[:-1]:
        if claim not in back:
            yield f"it was claimed again after lease {claim}, which nothing had taken back"


def _wrong_lines(evidence: Evidence, task: Row) -> Iterator[str]:
    claims = {event["lease_number"] for event in evidence.events_of(CLAIM, task_id=task["task_id"])}
    ours = Counter((line.what, line.lease_number) for line in evidence.lines if line.task_id == task["task_id"])
    for (what, lease), times in ours.items():
        if lease not in claims:
            yield f"it left {what} under lease {lease}, which nobody had claimed"
        if times > 1:
            yield f"it left {what} {times} times under lease {lease}"
        if what == "effect" and not ours["start", lease]:
            yield f"it left an effect under lease {lease}, and had not begun"


def _wrong_completion(evidence: Evidence, task: Row) -> Iterator[str]:
    told = evidence.events_of("task_completed", task_id=task["task_id"])
    if len(told) != (task["status"] == "completed"):
        yield f"it is {task['status']} with {len(told)} task_completed"
    effects = {
        line.lease_number for line in evidence.lines if line.what == "effect" and line.task_id == task["task_id"]
    }
    for event in told:
        if event["lease_number"] not in effects:
            yield f"it was completed under lease {event['lease_number']}, and left effects under {sorted(effects)}"
        if (planned := _planned(evidence, task, event)) != "succeed":
            yield f"it was completed at attempt {event['attempt']}, which was to {planned}"


def _wrong_failure(evidence: Evidence, task: Row, failure: Row) -> Iterator[str]:
    error = failure["event_data"]["error"]
    lost = len(evidence.events_of("task_rescued", task_id=task["task_id"]))
    if error["type"] == LOST:
        if lost < task["max_rescues"]:
            yield f"it was given up after {lost} rescues of {task['max_rescues']}"
        return
    planned = _planned(evidence, task, failure)
    if error["type"] != ERROR_TYPES.get(planned) and not _was_slow(evidence, task, failure):
        yield f"attempt {failure['attempt']} was to {planned}, and failed with {error['type']}: {error['message']}"
    if failure["event_type"] == "task_failed" and not _last(evidence, failure):
        yield f"attempt {failure['attempt']} was taken for the last, of {failure['event_data']['of']}"


def _planned(evidence: Evidence, task: Row, event: Row) -> Ending:
    return ending(evidence.seed, evidence.stage_of(task)["name"], task["task_index"], event["attempt"])


def _was_slow(evidence: Evidence, task: Row, failure: Row) -> bool:
    """Whether it has had all of its time: on a machine that is busy enough anything may take too long."""
    timeout = evidence.stage_of(task)["definition"]["timeout"]
    begun = [
        event["created_at"]
        for event in evidence.events_of(CLAIM, task_id=task["task_id"])
        if event["lease_number"] == failure["lease_number"]
    ]
    if timeout is None or not begun or failure["event_data"]["error"]["type"] != ERROR_TYPES["hang"]:
        return False
    return bool((failure["created_at"] - begun[0]).total_seconds() >= timeout)


def _last(evidence: Evidence, failure: Row) -> bool:
    """Whether it was the last attempt: for want of more, or because the stage had been asked to stop."""
    stopped = any(
        event["stage"] == failure["stage"] and event["event_id"] < failure["event_id"]
        for event in evidence.events_of("stop_requested")
    )
    return stopped or failure["attempt"] >= failure["event_data"]["of"]

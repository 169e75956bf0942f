"""Checks of the end of a job: it was planned, or it has a cause, and its callback has run and was recorded."""

from collections.abc import Iterator

from ...statemachine.lifecycles import CALLBACK, JOB, STAGE
from .check_runs import LEASE_EXPIRED
from .jobs import JOBS, SIBLINGS, expected_result
from .plan import PlannedError, callback_failures, fan_out_fails, finalizer_fails, numbers
from .snapshot import JobSnapshot

DECLARED = {job.name: job for job in JOBS}


def end_problems(snapshot: JobSnapshot) -> Iterator[str]:
    """What is wrong with a job as a whole."""
    status = snapshot.job["status"]
    if not JOB.by_name[status].terminal:
        yield f"the job is {status}"
    yield from (
        f"stage {stage['name']} is {stage['status']}"
        for stage in snapshot.stages
        if not STAGE.by_name[stage["status"]].terminal
    )
    if status == "completed":
        yield from _completion_problems(snapshot)
    elif status == "failed":
        yield from _failure_problems(snapshot)
    elif status == "cancelled" and not snapshot.requests.cancels:
        yield "the job is cancelled, but nobody requested that"
    yield from _start_problems(snapshot)
    yield from _callback_problems(snapshot)


def _completion_problems(snapshot: JobSnapshot) -> Iterator[str]:
    job = DECLARED[snapshot.job["job_type"]]
    expected = expected_result(job.name, snapshot.seed)
    if snapshot.job["result"] != expected:
        yield f"the result is {snapshot.job['result']}, not {expected}"
    if job.finalize is not None and not snapshot.count("finalize"):
        yield "the job completed, but its finalizer has never run"
    if job.finalize_required and finalizer_fails(snapshot.seed):
        yield "the job completed, although its finalizer is required and was planned to fail"
    if job is SIBLINGS and (fan_out_fails(snapshot.seed) or not numbers(snapshot.seed)):
        yield "the job completed, although its fan-out was planned to fail"


def _failure_problems(snapshot: JobSnapshot) -> Iterator[str]:
    """Failed tasks are checked one by one elsewhere; this checks jobs that fail without a failed task."""
    job, seed, error = snapshot.job, snapshot.seed, snapshot.job["error"]
    failed = [stage for stage in snapshot.stages if stage["status"] == "failed"]
    if any(stage["tasks_failed"] for stage in failed):
        return
    siblings = job["job_type"] == SIBLINGS.name
    planned = {
        PlannedError.__name__: siblings and (fan_out_fails(seed) if failed else finalizer_fails(seed)),
        "TooFewTasks": siblings and bool(failed) and not numbers(seed),
    }
    if not planned.get(error["type"]):
        yield f"the job failed, which was not planned: {error['type']}: {error.get('message')}"


def _start_problems(snapshot: JobSnapshot) -> Iterator[str]:
    created, queued, resumed = (len(snapshot.events_of(name)) for name in ("job_created", "job_queued", "job_resumed"))
    if (created, queued) != (1, 1 + resumed):
        yield f"the job was created {created} times, queued {queued} times and resumed {resumed} times"
    if resumed > snapshot.requests.resumes:
        yield f"the job was resumed {resumed} times, after {snapshot.requests.resumes} requests"


def _callback_problems(snapshot: JobSnapshot) -> Iterator[str]:
    owed = DECLARED[snapshot.job["job_type"]].on_job_complete is not None and snapshot.job["status"] == "completed"
    started, effects = snapshot.count("callback-start"), snapshot.count("callback-effect")
    claims = len(snapshot.events_of("callback_started"))
    if len(snapshot.callbacks) != owed:
        yield f"the job is {snapshot.job['status']} and has {len(snapshot.callbacks)} callbacks"
    if started > claims:
        yield f"the callback ran {started} times, but was claimed {claims} times"
    if len(snapshot.events_of("callback_retry_scheduled")) > callback_failures(snapshot.seed):
        yield "the callback failed more often than planned"
    for callback in snapshot.callbacks:
        if not CALLBACK.by_name[callback["status"]].terminal:
            yield f"the callback is {callback['status']}"
        elif callback["status"] == "failed":
            yield from _callback_failure_problems(snapshot)
        elif not effects or "success" not in _recorded(snapshot):
            yield f"the callback is completed with {effects} effects, and was recorded as {_recorded(snapshot)}"


def _callback_failure_problems(snapshot: JobSnapshot) -> Iterator[str]:
    for event in snapshot.events_of("callback_failed"):
        if event["event_data"]["error"]["type"] != LEASE_EXPIRED:
            yield f"the callback failed for good: {event['event_data']['error']['message']}"


def _recorded(snapshot: JobSnapshot) -> list[str]:
    return [event["event_status"] for event in snapshot.events_of("callback_executed")]

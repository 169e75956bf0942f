"""Judging the end of a job: it is one that the plan foresaw, or one that has a cause, and its callback was told."""

from collections.abc import Iterator

from ...statemachine.lifecycles import CALLBACK, JOB, STAGE
from .evidence import Evidence
from .jobs import JOBS, SIBLINGS, expected_result
from .plan import PlannedError, callback_failures, fan_out_fails, finalizer_fails, numbers
from .runs import LOST

DECLARED = {job.name: job for job in JOBS}


def wrong_end(evidence: Evidence) -> Iterator[str]:
    """What is wrong with a job as a whole."""
    status = evidence.job["status"]
    if not JOB.by_name[status].terminal:
        yield f"the job is {status}"
    yield from (
        f"stage {stage['name']} is {stage['status']}"
        for stage in evidence.stages
        if not STAGE.by_name[stage["status"]].terminal
    )
    if status == "completed":
        yield from _wrong_completion(evidence)
    elif status == "failed":
        yield from _wrong_failure(evidence)
    elif status == "cancelled" and not evidence.deeds.cancels:
        yield "the job is cancelled, and nobody had asked for it"
    yield from _wrong_beginnings(evidence)
    yield from _wrong_callback(evidence)


def _wrong_completion(evidence: Evidence) -> Iterator[str]:
    job = DECLARED[evidence.job["job_type"]]
    expected = expected_result(job.name, evidence.seed)
    if evidence.job["result"] != expected:
        yield f"the result is {evidence.job['result']}, not {expected}"
    if job.finalize is not None and not evidence.count("finalize"):
        yield "the job completed, and its finalizer has never run"
    if job.finalize_required and finalizer_fails(evidence.seed):
        yield "the job completed, though its finalizer is required and was to fail"
    if job is SIBLINGS and (fan_out_fails(evidence.seed) or not numbers(evidence.seed)):
        yield "the job completed, though its fan-out was to fail"


def _wrong_failure(evidence: Evidence) -> Iterator[str]:
    """Failed tasks are judged one by one; here stands what fails without one."""
    job, seed, error = evidence.job, evidence.seed, evidence.job["error"]
    failed = [stage for stage in evidence.stages if stage["status"] == "failed"]
    if any(stage["tasks_failed"] for stage in failed):
        return
    ours = job["job_type"] == SIBLINGS.name
    planned = {
        PlannedError.__name__: ours and (fan_out_fails(seed) if failed else finalizer_fails(seed)),
        "TooFewTasks": ours and bool(failed) and not numbers(seed),
    }
    if not planned.get(error["type"]):
        yield f"the job failed, which was not planned: {error['type']}: {error.get('message')}"


def _wrong_beginnings(evidence: Evidence) -> Iterator[str]:
    created, queued, resumed = (len(evidence.events_of(name)) for name in ("job_created", "job_queued", "job_resumed"))
    if (created, queued) != (1, 1 + resumed):
        yield f"the job was created {created} times, queued {queued} times and resumed {resumed} times"
    if resumed > evidence.deeds.resumes:
        yield f"the job was resumed {resumed} times, and asked to {evidence.deeds.resumes} times"


def _wrong_callback(evidence: Evidence) -> Iterator[str]:
    owed = DECLARED[evidence.job["job_type"]].on_job_complete is not None and evidence.job["status"] == "completed"
    started, effects = evidence.count("callback-start"), evidence.count("callback-effect")
    claims = len(evidence.events_of("callback_started"))
    if len(evidence.callbacks) != owed:
        yield f"the job is {evidence.job['status']} and owes {len(evidence.callbacks)} callbacks"
    if started > claims:
        yield f"the callback ran {started} times, and was claimed {claims} times"
    if len(evidence.events_of("callback_retry_scheduled")) > callback_failures(evidence.seed):
        yield "the callback failed more often than planned"
    for callback in evidence.callbacks:
        if not CALLBACK.by_name[callback["status"]].terminal:
            yield f"the callback is {callback['status']}"
        elif callback["status"] == "failed":
            yield from _wrong_callback_failure(evidence)
        elif not effects or "success" not in _told(evidence):
            yield f"the callback is completed; it left {effects} effects, and was told as {_told(evidence)}"


def _wrong_callback_failure(evidence: Evidence) -> Iterator[str]:
    for event in evidence.events_of("callback_failed"):
        if event["event_data"]["error"]["type"] != LOST:
            yield f"the callback was given up: {event['event_data']['error']['message']}"


def _told(evidence: Evidence) -> list[str]:
    return [event["event_status"] for event in evidence.events_of("callback_executed")]

"""The verdict card at the top of a job's page: the job's diagnosis in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....statemachine.lifecycles import JOB
from ...flow.resume import planned
from ...store.rows import StageRow
from ..api.response_models import EventResponse
from ..api.response_models_status import DiagnosisResponse
from ..api.rows import JobPageRow, JobStageRow
from ..timeline.event_display import event_error
from ..timeline.formatting import elapsed, format_number, pluralize


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The content of the card. `task` is the task that failed, and `attempt_text` says at which attempt.

    `resume_text` says what a resume would do; None if the job cannot be resumed.
    """

    diagnosis: DiagnosisResponse
    tone: str
    sentence: str
    task: int | None
    attempt_text: str
    error_type: str
    resume_text: str | None
    cancellable: bool


TONES = {
    "running": "busy",
    "waiting": "calm",
    "stalled": "warn",
    "completed": "good",
    "failed": "bad",
    "cancelled": "warn",
}


def verdict_of(diagnosis: DiagnosisResponse, job: JobPageRow) -> Verdict:
    """The verdict card of a job."""
    state = JOB.by_name[job.status]
    failure = diagnosis.first_failure
    error = event_error(failure.data) if failure else None
    task_failure = failure if failure and failure.task_number and diagnosis.verdict == "failed" else None
    return Verdict(
        diagnosis=diagnosis,
        tone=TONES[diagnosis.verdict],
        sentence=_sentence(diagnosis, job),
        task=task_failure.task_number if task_failure else None,
        attempt_text=_attempt_text(task_failure) if task_failure else "",
        error_type=error["type"] if error else "",
        resume_text=_resume_text(job) if state.failure else None,
        cancellable=not state.terminal,
    )


def _sentence(diagnosis: DiagnosisResponse, job: JobPageRow) -> str:
    stages = job.stages
    match diagnosis.verdict:
        case "failed":
            return f"Failed{_failed_stage(diagnosis.first_failure, stages)}"
        case "completed":
            tasks, count = pluralize(job.tasks_total, "task"), pluralize(len(stages), "stage")
            return f"Completed in {_elapsed(job)}: {tasks} in {count}"
        case "cancelled":
            return f"Cancelled after {_elapsed(job)}" if job.started_at else "Cancelled before it started"
        case _:
            return f"{diagnosis.verdict.capitalize()}{_progress(stages)}"


def _elapsed(job: JobPageRow) -> str:
    """From start to end, as in the job list and in the terminal."""
    return elapsed(job.started_at, job.finished_at)


def _failed_stage(failure: EventResponse | None, stages: Sequence[JobStageRow]) -> str:
    """Where a job failed."""
    if failure is None or failure.stage is None:
        return " before any stage was opened"
    stage = next((one for one in stages if one.stage == failure.stage), None)
    return f" in stage {failure.stage} of {len(stages)}{', ' + stage.name if stage else ''}"


def _attempt_text(failure: EventResponse) -> str:
    attempts = failure.data.get("of")
    return f", attempt {failure.data.get('attempt')} of {attempts}" if attempts else ""


def _progress(stages: Sequence[JobStageRow]) -> str:
    opened = [stage for stage in stages if stage.started_at is not None]
    if not opened:
        return f": none of {pluralize(len(stages), 'stage')} has started"
    stage = opened[-1]
    of = pluralize(stage.tasks_total, "task")
    return f": stage {stage.stage} of {len(stages)}, {stage.name}, {format_number(stage.tasks_ended)} of {of} finished"


def _resume_text(job: JobPageRow) -> str:
    plan = planned(job.job_id, job.status, [StageRow.of(row) for row in job.stage_rows])
    tasks = f"run {pluralize(plan.tasks_again, 'task')} again and " if plan.tasks_again else ""
    return f"{tasks}continue from stage {plan.from_stage}" if plan.from_stage else f"{tasks}finalize the job"

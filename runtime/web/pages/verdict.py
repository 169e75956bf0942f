"""The card on top of a job's page: what `why` says, in one sentence and a few lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....statemachine.lifecycles import JOB
from ...flow.resume import planned
from ...store.rows import StageRow
from ..api.response_models import Event
from ..api.response_models_status import DiagnosisResponse
from ..api.rows import JobRow, JobStageRow
from ..timeline.event_display import event_error
from ..timeline.formatting import elapsed, format_number, pluralize


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said on the card: the sentence, the task at which it failed, and which attempt of it that was.

    `again` is what a resume would do, None where there is nothing to resume.
    """

    why: DiagnosisResponse
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


def verdict_of(why: DiagnosisResponse, job: JobRow) -> Verdict:
    """The card of a job."""
    state = JOB.by_name[job.status]
    failure = why.first_failure
    error = event_error(failure.data) if failure else None
    task_failure = failure if failure and failure.task_number and why.verdict == "failed" else None
    return Verdict(
        why=why,
        tone=TONES[why.verdict],
        sentence=_sentence(why, job),
        task=task_failure.task_number if task_failure else None,
        attempt_text=_attempt_text(task_failure) if task_failure else "",
        error_type=error["type"] if error else "",
        resume_text=_resume_text(job) if state.failure else None,
        cancellable=not state.terminal,
    )


def _sentence(why: DiagnosisResponse, job: JobRow) -> str:
    stages = job.stages
    match why.verdict:
        case "failed":
            return f"Failed{_failed_stage(why.first_failure, stages)}"
        case "completed":
            tasks, count = pluralize(job.tasks_total, "task"), pluralize(len(stages), "stage")
            return f"Completed in {_elapsed(job)}: {tasks} in {count}"
        case "cancelled":
            return f"Cancelled after {_elapsed(job)}" if job.started_at else "Cancelled before it started"
        case _:
            return f"{why.verdict.capitalize()}{_progress(stages)}"


def _elapsed(job: JobRow) -> str:
    """From its start to its end, as the list of jobs and the terminal have it."""
    return elapsed(job.started_at, job.finished_at)


def _failed_stage(failure: Event | None, stages: Sequence[JobStageRow]) -> str:
    """In which stage."""
    if failure is None or failure.stage is None:
        return " before a stage was opened"
    stage = next((one for one in stages if one.stage == failure.stage), None)
    return f" in stage {failure.stage} of {len(stages)}{', ' + stage.name if stage else ''}"


def _attempt_text(failure: Event) -> str:
    attempts = failure.data.get("of")
    return f", attempt {failure.data.get('attempt')} of {attempts}" if attempts else ""


def _progress(stages: Sequence[JobStageRow]) -> str:
    opened = [stage for stage in stages if stage.started_at is not None]
    if not opened:
        return f": the first of {pluralize(len(stages), 'stage')} is not open yet"
    stage = opened[-1]
    of = pluralize(stage.tasks_total, "task")
    return f": stage {stage.stage} of {len(stages)}, {stage.name}, {format_number(stage.tasks_ended)} of {of} ended"


def _resume_text(job: JobRow) -> str:
    plan = planned(job.job_id, job.status, [StageRow.of(row) for row in job.stage_rows])
    tasks = f"run {pluralize(plan.tasks_again, 'task')} again and " if plan.tasks_again else ""
    return f"{tasks}go on from stage {plan.from_stage}" if plan.from_stage else f"{tasks}finalize the job"

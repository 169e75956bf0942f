"""The card on top of a job's page: what `why` says, in one sentence and a few lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....statemachine.lifecycles import JOB
from ...flow.resume import planned
from ...store.rows import StageRow
from ...store.session import Row
from ..api.response_models import Event
from ..api.response_models_status import WhyBody
from ..timeline.event_display import error_of
from ..timeline.formatting import between, counted, grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said on the card: the sentence, the task at which it failed, and which attempt of it that was.

    `again` is what a resume would do, None where there is nothing to resume.
    """

    why: WhyBody
    tone: str
    sentence: str
    task: int | None
    tried: str
    error_type: str
    again: str | None
    cancellable: bool


TONES = {
    "running": "busy",
    "waiting": "calm",
    "stalled": "warn",
    "completed": "good",
    "failed": "bad",
    "cancelled": "warn",
}


def verdict_of(why: WhyBody, job: Row) -> Verdict:
    """The card of a job, with its stages in `job["stages"]`."""
    state = JOB.by_name[job["status"]]
    failure = why.first_failure
    error = error_of(failure.data) if failure else None
    at = failure if failure and failure.task_number and why.verdict == "failed" else None
    return Verdict(
        why=why,
        tone=TONES[why.verdict],
        sentence=_sentence(why, job),
        task=at.task_number if at else None,
        tried=_tried(at) if at else "",
        error_type=error["type"] if error else "",
        again=_again(job) if state.failure else None,
        cancellable=not state.terminal,
    )


def _sentence(why: WhyBody, job: Row) -> str:
    stages: Sequence[Row] = job["stages"]
    match why.verdict:
        case "failed":
            return f"Failed{_where(why.first_failure, stages)}"
        case "completed":
            return (
                f"Completed in {_took(job)}: {counted(job['tasks_total'], 'task')} in {counted(len(stages), 'stage')}"
            )
        case "cancelled":
            return f"Cancelled after {_took(job)}" if job["started_at"] else "Cancelled before it started"
        case _:
            return f"{why.verdict.capitalize()}{_progress(stages)}"


def _took(job: Row) -> str:
    """From its start to its end, as the list of jobs and the terminal have it."""
    return between(job["started_at"], job["finished_at"], job["finished_at"])


def _where(failure: Event | None, stages: Sequence[Row]) -> str:
    """In which stage."""
    if failure is None or failure.stage is None:
        return " before a stage was opened"
    stage = next((one for one in stages if one["stage"] == failure.stage), None)
    return f" in stage {failure.stage} of {len(stages)}{', ' + stage['name'] if stage else ''}"


def _tried(failure: Event) -> str:
    attempts = failure.data.get("of")
    return f", attempt {failure.data.get('attempt')} of {attempts}" if attempts else ""


def _progress(stages: Sequence[Row]) -> str:
    opened = [stage for stage in stages if stage["started_at"] is not None]
    if not opened:
        return f": the first of {counted(len(stages), 'stage')} is not open yet"
    stage = opened[-1]
    ended = stage["tasks_completed"] + stage["tasks_failed"] + stage["tasks_cancelled"]
    of = counted(stage["tasks_total"], "task")
    return f": stage {stage['stage']} of {len(stages)}, {stage['name']}, {grouped(ended)} of {of} ended"


def _again(job: Row) -> str:
    plan = planned(job["job_id"], job["status"], [StageRow.of(row) for row in job["stages"]])
    tasks = f"run {counted(plan.tasks_again, 'task')} again and " if plan.tasks_again else ""
    return f"{tasks}go on from stage {plan.from_stage}" if plan.from_stage else f"{tasks}finalize the job"

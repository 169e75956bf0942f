"""Convert rows to response models, with only what the visitor may see."""

from collections.abc import Mapping, Sequence
from typing import cast

from ....diagrams.timeline import TimelineEvent
from ...app.diagnose import Diagnosis, Holder
from ..access.policy import Visitor
from ..access.redaction import redact_data, redact_error
from .response_models import EventResponse, EventStatus, JobDetail, JobSummary, StageResponse, TaskDetail, TaskSummary
from .response_models_status import DiagnosisResponse, LeaseHolder
from .rows import EventRow, JobListRow, JobPageRow, JobStageRow, TaskDetailRow, TaskRow


def serialize_event(row: EventRow, visitor: Visitor) -> EventResponse:
    """An event."""
    return EventResponse(
        event_id=row.event_id,
        type=row.event_type,
        status=cast("EventStatus", row.event_status),
        at=row.created_at,
        stage=row.stage,
        task_number=row.task_number,
        attempt=row.attempt,
        lease_number=row.lease_number,
        data=redact_data(row.event_data, visitor),
    )


def serialize_job_summary(row: JobListRow, visitor: Visitor) -> JobSummary:
    """A job in a list, with its last event."""
    return JobSummary(
        job_id=row.job_id,
        job_type=row.job_type,
        status=row.status,
        stage=row.stage or 0,
        stage_count=row.stage_count,
        tasks_total=row.tasks_total,
        tasks_ended=row.tasks_ended or 0,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        failure=str(row.error.get("message") or "no reason recorded") if row.error else None,
        last_event=serialize_event(row.last_event, visitor) if row.last_event else None,
    )


def serialize_stage(row: JobStageRow, visitor: Visitor) -> StageResponse:
    """A stage."""
    return StageResponse(
        stage=row.stage,
        name=row.name,
        task_type=row.task_type,
        status=row.status,
        tasks_total=row.tasks_total,
        tasks_completed=row.tasks_completed,
        tasks_failed=row.tasks_failed,
        tasks_cancelled=row.tasks_cancelled,
        stop_reason=row.stop_reason,
        error=redact_error(row.error, visitor),
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def serialize_job(row: JobPageRow, visitor: Visitor) -> JobDetail:
    """A job with its stages. Parameters and result are for operators."""
    operator = visitor.is_operator
    return JobDetail(
        job_id=row.job_id,
        job_type=row.job_type,
        status=row.status,
        stage_count=row.stage_count,
        tasks_total=row.tasks_total,
        submission_key=row.submission_key if operator else None,
        parameters=row.parameters if operator else None,
        result=row.result if operator else None,
        error=redact_error(row.error, visitor),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        stages=[serialize_stage(stage, visitor) for stage in row.stages],
        hidden=[] if operator else ["submission_key", "parameters", "result", "traceback"],
    )


def serialize_task_summary(row: TaskRow, visitor: Visitor) -> TaskSummary:
    """A task in a list."""
    return TaskSummary(
        task_number=row.task_number,
        stage=row.stage,
        stage_name=row.stage_name,
        task_type=row.task_type,
        status=row.status,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        rescues=row.rescues,
        worker=row.lease_owner,
        lease_expires_at=row.lease_expires_at,
        due_at=row.due_at,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=redact_error(row.error, visitor),
    )


def serialize_task(row: TaskDetailRow, events: Sequence[EventRow], visitor: Visitor) -> TaskDetail:
    """A task with its events. Input and result are for operators."""
    operator = visitor.is_operator
    return TaskDetail(
        **dict(serialize_task_summary(row, visitor)),
        item=row.item if operator else None,
        result=row.result if operator else None,
        events=[serialize_event(event, visitor) for event in events],
        hidden=[] if operator else ["item", "result", "traceback"],
    )


def serialize_diagnosis(diagnosis: Diagnosis, events: Mapping[int, EventResponse]) -> DiagnosisResponse:
    """A diagnosis. `events` are the events that it names, by id, as the visitor may see them."""

    def shown(event: TimelineEvent | None) -> EventResponse | None:
        return events[event.event_id] if event else None

    return DiagnosisResponse(
        job_id=diagnosis.job_id,
        short_id=diagnosis.short_id,
        job_type=diagnosis.job_type,
        status=diagnosis.status,
        verdict=diagnosis.verdict,
        last_successful=shown(diagnosis.last_successful),
        first_failure=shown(diagnosis.first_failure),
        ended=shown(diagnosis.ended),
        error_type=diagnosis.error_type,
        error=diagnosis.error,
        waits_for=list(diagnosis.waits_for),
        held_by=[_serialize_holder(holder) for holder in diagnosis.held_by],
        until=diagnosis.until,
        deadline=diagnosis.deadline,
        next_steps=list(diagnosis.next_steps),
    )


def _serialize_holder(holder: Holder) -> LeaseHolder:
    return LeaseHolder(
        worker=holder.worker, holds=holder.holds, lease_numbers=list(holder.lease_numbers), until=holder.until
    )


def diagnosis_events(diagnosis: Diagnosis) -> list[TimelineEvent]:
    """The events that a diagnosis names."""
    named = (diagnosis.last_successful, diagnosis.first_failure, diagnosis.ended)
    return [event for event in named if event]

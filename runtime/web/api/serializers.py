"""Rows as the bodies that a visitor may see."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import cast

from ....diagrams.timeline import TimelineEvent
from ...app.diagnose import Why
from ...store.session import Row
from ..access.policy import Visitor
from ..access.redaction import redact_data, redact_error
from .response_models import Event, JobDetail, JobSummary, Stage, TaskDetail, TaskSummary
from .response_models_status import DiagnosisResponse

STAGE_COLUMNS = tuple(Stage.model_fields)
TASK_COLUMNS = tuple(name for name in TaskSummary.model_fields if name not in {"worker", "error"})


def serialize_event(row: Row, visitor: Visitor) -> Event:
    """An event."""
    return Event(
        event_id=row["event_id"],
        type=row["event_type"],
        status=row["event_status"],
        at=row["created_at"],
        stage=row["stage"],
        task_number=row["task_number"],
        attempt=row.get("attempt"),
        lease_number=row.get("lease_number"),
        data=redact_data(row["event_data"], visitor),
    )


def serialize_job_summary(row: Row, visitor: Visitor) -> JobSummary:
    """A job in a list, with its last event."""
    last = {**row, "created_at": row["event_at"], "stage": row["event_stage"]}
    return JobSummary(
        job_id=row["job_id"],
        job_type=row["job_type"],
        status=row["status"],
        stage=row["stage"] or 0,
        stage_count=row["stage_count"],
        tasks_total=row["tasks_total"],
        tasks_ended=row["tasks_ended"] or 0,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        failure=_reason(row["error"]) if row["error"] else None,
        last_event=serialize_event(last, visitor) if row["event_id"] else None,
    )


def _reason(error: Row) -> str:
    return str(error.get("message") or "no reason was recorded")


def serialize_stage(row: Row, visitor: Visitor) -> Stage:
    """A stage."""
    values = {name: row[name] for name in STAGE_COLUMNS}
    return Stage.model_validate({**values, "error": redact_error(row["error"], visitor)})


def serialize_job(row: Row, visitor: Visitor) -> JobDetail:
    """A job with its stages. Its parameters and result are an operator's."""
    theirs = visitor.is_operator
    return JobDetail(
        job_id=row["job_id"],
        job_type=row["job_type"],
        status=row["status"],
        stage_count=row["stage_count"],
        tasks_total=row["tasks_total"],
        submission_key=row["submission_key"] if theirs else None,
        parameters=row["parameters"] if theirs else None,
        result=row["result"] if theirs else None,
        error=redact_error(row["error"], visitor),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        stages=[serialize_stage(stage, visitor) for stage in row["stages"]],
        hidden=[] if theirs else ["submission_key", "parameters", "result", "traceback"],
    )


def serialize_task_summary(row: Row, visitor: Visitor) -> TaskSummary:
    """A task in a list."""
    return TaskSummary(**_task(row, visitor))


def serialize_task(row: Row, events: list[Row], visitor: Visitor) -> TaskDetail:
    """A task with its events. What it was given and what it returned are an operator's."""
    theirs = visitor.is_operator
    return TaskDetail(
        **_task(row, visitor),
        item=row["item"] if theirs else None,
        result=row["result"] if theirs else None,
        events=[serialize_event(event, visitor) for event in events],
        hidden=[] if theirs else ["item", "result", "traceback"],
    )


def serialize_diagnosis(told: Why, events: Mapping[int, Event]) -> DiagnosisResponse:
    """Why a job is where it is, with its events as the visitor may see them. Everybody sees the error's message."""
    shown = {name: event and events[event.event_id] for name, event in diagnosis_events(told).items()}
    return DiagnosisResponse.model_validate({**asdict(told), **shown})


def diagnosis_events(told: Why) -> dict[str, TimelineEvent | None]:
    """The events that a verdict names, by its fields."""
    values = {field.name: getattr(told, field.name, None) for field in fields(told)}
    return {
        name: cast("TimelineEvent | None", values[name])
        for name, field in DiagnosisResponse.model_fields.items()
        if name in values and field.annotation == Event | None
    }


def _task(row: Row, visitor: Visitor) -> Row:
    values = {name: row[name] for name in TASK_COLUMNS}
    return {**values, "worker": row["lease_owner"], "error": redact_error(row["error"], visitor)}

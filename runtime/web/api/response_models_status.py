"""The bodies of what is told about a job: why it is where it is, its timeline, and what a change did."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from .response_models import ERROR_EXAMPLE, JOB_ID_EXAMPLE, TIME_EXAMPLE, Event, JobStatus, example


class LeaseHolder(BaseModel):
    """A worker that holds something of a job."""

    worker: str
    holds: str
    lease_numbers: list[int]
    until: datetime | None


class DiagnosisResponse(BaseModel):
    """Why a job is where it is."""

    model_config = example(
        job_id=JOB_ID_EXAMPLE,
        short_id="3f9c00",
        job_type="process_raster_v2",
        status="failed",
        verdict="failed",
        last_successful=None,
        first_failure=None,
        ended=None,
        error_type=ERROR_EXAMPLE["type"],
        error=ERROR_EXAMPLE["message"],
        waits_for=[],
        held_by=[],
        until=None,
        deadline=None,
        next_steps=["coremachine resume 3f9c00"],
    )
    job_id: str
    short_id: str
    job_type: str
    status: JobStatus
    verdict: Literal["running", "waiting", "stalled", "completed", "failed", "cancelled"]
    last_successful: Event | None
    first_failure: Event | None
    ended: Event | None = None
    error_type: str | None = None
    error: str | None
    waits_for: list[str]
    held_by: list[LeaseHolder]
    until: datetime | None
    deadline: datetime | None
    next_steps: list[str]


class StageSummary(BaseModel):
    """What a long stage's uneventful events add up to: their number by type."""

    stage: int
    tasks: int
    counts: dict[str, int]
    first_at: datetime
    last_at: datetime


class TimelineEntry(BaseModel):
    """An event as the timeline gives it."""

    event_id: int
    type: str
    status: str
    at: datetime
    stage: int | None
    task_number: int | None
    data: dict[str, Any]


class TimelineResponse(BaseModel):
    """The execution timeline of a job."""

    model_config = example(
        job_id=JOB_ID_EXAMPLE,
        job_type="process_raster_v2",
        events=[],
        summaries=[
            {
                "stage": 2,
                "tasks": 900,
                "counts": {"task_started": 900},
                "first_at": TIME_EXAMPLE,
                "last_at": TIME_EXAMPLE,
            }
        ],
        last_successful=None,
        first_failure=None,
    )
    job_id: str
    job_type: str
    events: list[TimelineEntry]
    summaries: list[StageSummary]
    last_successful: TimelineEntry | None
    first_failure: TimelineEntry | None


class ResumeRequest(BaseModel):
    """How a job is to be resumed. `dry_run` says what it would do, and changes nothing."""

    model_config = example(dry_run=False)
    dry_run: bool = False


class CancelRequest(BaseModel):
    """Why a job is to be cancelled; the reason stands in its events."""

    model_config = example(reason="the input was wrong")
    reason: str = Field(default="cancelled by a user", min_length=1, max_length=500)


class ResumeResponse(BaseModel):
    """What a resume did, or would do."""

    model_config = example(job_id=JOB_ID_EXAMPLE, status="queued", from_stage="hillshade", tasks_again=2, tasks_kept=63)
    job_id: str
    status: JobStatus
    from_stage: str | None
    tasks_again: int
    tasks_kept: int


class CancelResponse(BaseModel):
    """What a cancellation did: `processing` means that running tasks have been asked to stop."""

    model_config = example(job_id=JOB_ID_EXAMPLE, status="processing")
    job_id: str
    status: JobStatus

"""Models about the status of a job: its diagnosis, its timeline, and the results of actions."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from .response_models import ERROR_EXAMPLE, JOB_ID_EXAMPLE, TIME_EXAMPLE, EventResponse, JobStatus, example


class LeaseHolder(BaseModel):
    """A worker that holds a lease on a job, its tasks or its callbacks."""

    worker: str
    holds: str
    lease_numbers: list[int]
    until: datetime | None


class DiagnosisResponse(BaseModel):
    """What a job is doing, what it waits for, and what you can do."""

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
    last_successful: EventResponse | None
    first_failure: EventResponse | None
    ended: EventResponse | None = None
    error_type: str | None = None
    error: str | None
    waits_for: list[str]
    held_by: list[LeaseHolder]
    until: datetime | None
    deadline: datetime | None
    next_steps: list[str]


class StageSummary(BaseModel):
    """The successful events of a long stage, counted by type."""

    stage: int
    tasks: int
    counts: dict[str, int]
    first_at: datetime
    last_at: datetime


class TimelineEntry(BaseModel):
    """An event in the timeline."""

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
    """Options of a resume. With `dry_run` nothing changes; the response says what would happen."""

    model_config = example(dry_run=False)
    dry_run: bool = False


class CancelRequest(BaseModel):
    """Options of a cancellation. The reason is recorded in the events."""

    model_config = example(reason="the input was wrong")
    reason: str = Field(default="cancelled by a user", min_length=1, max_length=500)


class ResumeResponse(BaseModel):
    """The result of a resume, or of its dry run."""

    model_config = example(job_id=JOB_ID_EXAMPLE, status="queued", from_stage="hillshade", tasks_again=2, tasks_kept=63)
    job_id: str
    status: JobStatus
    from_stage: str | None
    tasks_again: int
    tasks_kept: int


class CancelResponse(BaseModel):
    """The result of a cancellation. `processing` means that running tasks have been asked to stop."""

    model_config = example(job_id=JOB_ID_EXAMPLE, status="processing")
    job_id: str
    status: JobStatus

"""Models of requests and responses, with examples. Times are ISO 8601 with a zone, durations in seconds."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from ....statemachine.lifecycles import JOB, STAGE, TASK

JOB_ID_EXAMPLE = "3f9c00aa11bb22cc33dd44ee55ff66003f9c00aa11bb22cc33dd44ee55ff6600"
TIME_EXAMPLE = "2026-11-20T10:01:45.120000Z"
ERROR_EXAMPLE: dict[str, object] = {"type": "RasterReadError", "message": "window (512, 768) lies outside the raster"}
TASK_EXAMPLE: dict[str, object] = {
    "task_number": 17,
    "stage": 2,
    "stage_name": "hillshade",
    "task_type": "hillshade",
    "status": "failed",
    "attempt": 3,
    "max_attempts": 3,
    "rescues": 0,
    "worker": None,
    "lease_expires_at": None,
    "due_at": None,
    "created_at": TIME_EXAMPLE,
    "started_at": TIME_EXAMPLE,
    "finished_at": TIME_EXAMPLE,
    "error": ERROR_EXAMPLE,
}


def _plain(text: str) -> str:
    if "\x00" in text or text.encode("utf-8", "ignore").decode() != text:
        raise ValueError("the text contains a NUL or a lone surrogate, which the database cannot store")
    return text


StorableText = Annotated[str, AfterValidator(_plain)]
JobStatus = Annotated[str, Field(json_schema_extra={"enum": list(JOB.by_name)})]
StageStatus = Annotated[str, Field(json_schema_extra={"enum": list(STAGE.by_name)})]
TaskStatus = Annotated[str, Field(json_schema_extra={"enum": list(TASK.by_name)})]
EventStatus = Literal["success", "failure", "warning", "info"]


def example(**values: object) -> ConfigDict:
    """The configuration of a model with this example. Unknown fields are rejected."""
    return ConfigDict(extra="forbid", json_schema_extra=cast("JsonDict", {"example": values}))


class SubmitRequest(BaseModel):
    """A job to submit. Jobs with the same type, parameters and key are the same job."""

    model_config = example(job_type="process_raster_v2", parameters={"raster": "dem.npz"}, key="2026-11")
    job_type: StorableText = Field(min_length=1, max_length=100)
    parameters: dict[str, JsonValue] = {}
    key: StorableText | None = Field(default=None, max_length=200)


class SubmitResponse(BaseModel):
    """A submitted job. `created` is false if it already existed. `result` is for operators."""

    model_config = example(
        job_id=JOB_ID_EXAMPLE,
        job_type="process_raster_v2",
        created=True,
        status="queued",
        monitor_url=f"http://127.0.0.1:8000/jobs/{JOB_ID_EXAMPLE}",
        result=None,
        next_step="",
    )
    job_id: str
    job_type: str
    created: bool
    status: JobStatus
    monitor_url: str
    result: JsonValue = None
    next_step: str = ""


class EventResponse(BaseModel):
    """An event. For viewers `data` has no parameters, results or tracebacks."""

    model_config = example(
        event_id=17,
        type="task_failed",
        status="failure",
        at=TIME_EXAMPLE,
        stage=2,
        task_number=17,
        attempt=3,
        lease_number=3,
        data={"worker": "host-1", "duration_ms": 812, "error": ERROR_EXAMPLE},
    )
    event_id: int
    type: str
    status: EventStatus
    at: datetime
    stage: int | None = None
    task_number: int | None = None
    attempt: int | None = None
    lease_number: int | None = None
    data: dict[str, Any] = {}


class EventPage(BaseModel):
    """Events, oldest first. Pass `next` as `after` to get the next page; null on the last page."""

    model_config = example(events=[], next=None)
    events: list[EventResponse]
    next: str | None


class JobSummary(BaseModel):
    """A job in a list. `stage` is the latest stage that has started, `failure` the error message."""

    model_config = example(
        job_id=JOB_ID_EXAMPLE,
        job_type="process_raster_v2",
        status="failed",
        stage=2,
        stage_count=3,
        tasks_total=65,
        tasks_ended=65,
        created_at=TIME_EXAMPLE,
        started_at=TIME_EXAMPLE,
        finished_at=TIME_EXAMPLE,
        failure=ERROR_EXAMPLE["message"],
        last_event=None,
    )
    job_id: str
    job_type: str
    status: JobStatus
    stage: int
    stage_count: int
    tasks_total: int
    tasks_ended: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    last_event: EventResponse | None


class JobPage(BaseModel):
    """Jobs, newest first. Pass `next` as `after` to get the next page; null on the last page."""

    model_config = example(jobs=[], next=None)
    jobs: list[JobSummary]
    next: str | None


class StageResponse(BaseModel):
    """A stage. `stop_reason` says why its running tasks were asked to stop."""

    model_config = example(
        stage=2,
        name="hillshade",
        task_type="hillshade",
        status="failed",
        tasks_total=64,
        tasks_completed=62,
        tasks_failed=1,
        tasks_cancelled=1,
        stop_reason=None,
        error=ERROR_EXAMPLE,
        started_at=TIME_EXAMPLE,
        finished_at=TIME_EXAMPLE,
    )
    stage: int
    name: str
    task_type: str
    status: StageStatus
    tasks_total: int
    tasks_completed: int
    tasks_failed: int
    tasks_cancelled: int
    stop_reason: str | None
    error: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None


class StageList(BaseModel):
    """The stages of a job, in order."""

    model_config = example(stages=[])
    stages: list[StageResponse]


class JobDetail(BaseModel):
    """A job with its stages. `hidden` names the fields that only operators see."""

    model_config = example(
        job_id=JOB_ID_EXAMPLE,
        job_type="process_raster_v2",
        status="completed",
        stage_count=3,
        tasks_total=66,
        submission_key=None,
        parameters={"raster": "dem.npz"},
        result={"mean": 531.0},
        error=None,
        created_at=TIME_EXAMPLE,
        started_at=TIME_EXAMPLE,
        finished_at=TIME_EXAMPLE,
        stages=[],
        hidden=[],
    )
    job_id: str
    job_type: str
    status: JobStatus
    stage_count: int
    tasks_total: int
    submission_key: str | None
    parameters: dict[str, Any] | None
    result: Any
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stages: list[StageResponse]
    hidden: list[str]


class TaskSummary(BaseModel):
    """A task in a list. `due_at` is when a queued task may be claimed."""

    model_config = example(**TASK_EXAMPLE)
    task_number: int
    stage: int
    stage_name: str
    task_type: str
    status: TaskStatus
    attempt: int
    max_attempts: int
    rescues: int
    worker: str | None
    lease_expires_at: datetime | None
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, Any] | None


class TaskPage(BaseModel):
    """Tasks in order. Pass `next` as `after` to get the next page; null on the last page."""

    model_config = example(tasks=[], next=None)
    tasks: list[TaskSummary]
    next: str | None


class TaskDetail(TaskSummary):
    """A task with its events, oldest first. `hidden` names the fields that only operators see."""

    model_config = example(**TASK_EXAMPLE, item={"x": 512, "y": 768}, result=None, events=[], hidden=[])
    item: Any
    result: Any
    events: list[EventResponse]
    hidden: list[str]

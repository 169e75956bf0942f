"""Query parameters of the lists. Unknown parameters are rejected."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ....statemachine.lifecycles import JOB, TASK
from .response_models import EventStatus, StorableText

MAX_INT = 2**31 - 1
MAX_TEXT_LENGTH, MAX_CURSOR_LENGTH = 200, 400
MIN_YEAR, MAX_YEAR = 2, 9998


def _one_of(*known: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return name

    return AfterValidator(check)


def _check_year(at: datetime) -> datetime:
    """Keep a margin to both ends of the calendar: a conversion to another time zone must not leave it."""
    if not MIN_YEAR <= at.year <= MAX_YEAR:
        raise ValueError(f"the year must be between {MIN_YEAR} and {MAX_YEAR}")
    return at


def _empty_as_none(value: object) -> object:
    """Treat empty text as absent: forms send their empty fields too."""
    return None if value == "" else value


EmptyAsNone = BeforeValidator(_empty_as_none)
Timestamp = Annotated[AwareDatetime, AfterValidator(_check_year)]
PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
JobState = Annotated[str, _one_of(*JOB.by_name), Field(json_schema_extra={"enum": list(JOB.by_name)})]
TaskState = Annotated[str, _one_of(*TASK.by_name), Field(json_schema_extra={"enum": list(TASK.by_name)})]
# max_length is on the text alone: pydantic would apply it to None as well
ShortText = Annotated[str, Field(max_length=MAX_CURSOR_LENGTH)]
SearchText = Annotated[
    Annotated[StorableText, Field(max_length=MAX_TEXT_LENGTH)] | None,
    EmptyAsNone,
    Field(description="search text", examples=["raster"]),
]
Cursor = Annotated[ShortText | None, EmptyAsNone, Field(description="`next` of the previous page")]
PageSize = Annotated[int, Field(ge=1, le=500, description="page size")]


class Filter(BaseModel):
    """Query parameters of a list."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    def query(self, *without: str) -> dict[str, str]:
        """The parameters that differ from their defaults, as they appear in a URL."""
        given = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={*without, "limit"})
        return {name: str(value) for name, value in given.items() if value is not None}


class JobFilter(Filter):
    """Filters of the job list."""

    status: Annotated[JobState | None, EmptyAsNone, Field(description="only jobs in this state")] = None
    job_type: Annotated[
        Annotated[StorableText, Field(max_length=100)] | None,
        EmptyAsNone,
        Field(alias="type", description="only jobs of this type"),
    ] = None
    since: Annotated[
        Timestamp | None, EmptyAsNone, Field(description="created at this time or later; with a time zone")
    ] = None
    until: Annotated[Timestamp | None, EmptyAsNone, Field(description="created before this time; with a time zone")] = (
        None
    )
    text: SearchText = None
    after: Cursor = None
    limit: PageSize = 50


class TaskFilter(Filter):
    """Filters of a job's task list."""

    stage: Annotated[PositiveInt | None, EmptyAsNone, Field(description="only tasks of this stage")] = None
    status: Annotated[TaskState | None, EmptyAsNone, Field(description="only tasks in this state")] = None
    after: Cursor = None
    limit: PageSize = 100


class EventFilter(Filter):
    """Filters of a job's event list."""

    level: Annotated[
        Literal["all", "headlines"], Field(description="`headlines`: only events that the default timeline shows")
    ] = "all"
    status: Annotated[EventStatus | None, EmptyAsNone, Field(description="only events with this status")] = None
    stage: Annotated[PositiveInt | None, EmptyAsNone, Field(description="only events of this stage")] = None
    task: Annotated[PositiveInt | None, EmptyAsNone, Field(description="only events of this task")] = None
    text: SearchText = None
    after: Cursor = None
    limit: PageSize = 100

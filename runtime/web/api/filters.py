"""What a list can be asked for, as query parameters. A name that is not known is refused, not passed over."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ....statemachine.lifecycles import JOB, TASK
from .response_models import EventStatus, Plain

MOST = 2**31 - 1
LONGEST_TEXT, LONGEST_CURSOR = 200, 400
FIRST_YEAR, LAST_YEAR = 2, 9998


def _one_of(*known: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"it is one of {', '.join(known)}")
        return name

    return AfterValidator(check)


def _within_calendar(at: datetime) -> datetime:
    """At both ends of the calendar another time zone would be a year that there is not."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"its year is between {FIRST_YEAR} and {LAST_YEAR}")
    return at


def _given(value: object) -> object:
    """A form sends its empty fields as well."""
    return None if value == "" else value


Optional = BeforeValidator(_given)
Moment = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
Number = Annotated[int, Field(ge=1, le=MOST)]
JobState = Annotated[str, _one_of(*JOB.by_name), Field(json_schema_extra={"enum": list(JOB.by_name)})]
TaskState = Annotated[str, _one_of(*TASK.by_name), Field(json_schema_extra={"enum": list(TASK.by_name)})]
# a length is said of the text alone: pydantic would measure what is not given as well
Short = Annotated[str, Field(max_length=LONGEST_CURSOR)]
Text = Annotated[
    Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None,
    Optional,
    Field(description="text to search for", examples=["raster"]),
]
After = Annotated[Short | None, Optional, Field(description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=500, description="at most so many")]


class Filter(BaseModel):
    """Query parameters of a list."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    def said(self, *without: str) -> dict[str, str]:
        """What was asked for, by the names of an address, in text."""
        left = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={*without, "limit"})
        return {name: str(value) for name, value in left.items() if value is not None}


class JobFilter(Filter):
    """Which jobs are listed."""

    status: Annotated[JobState | None, Optional, Field(description="only jobs in this state")] = None
    job_type: Annotated[
        Annotated[Plain, Field(max_length=100)] | None,
        Optional,
        Field(alias="type", description="only jobs of this type"),
    ] = None
    since: Annotated[Moment | None, Optional, Field(description="created then or later; with a time zone")] = None
    until: Annotated[Moment | None, Optional, Field(description="created before then; with a time zone")] = None
    text: Text = None
    after: After = None
    limit: Limit = 50


class TaskFilter(Filter):
    """Which tasks of a job are listed."""

    stage: Annotated[Number | None, Optional, Field(description="only tasks of this stage")] = None
    status: Annotated[TaskState | None, Optional, Field(description="only tasks in this state")] = None
    after: After = None
    limit: Limit = 100


class EventFilter(Filter):
    """Which events of a job are listed."""

    level: Annotated[
        Literal["all", "headlines"], Field(description="`headlines`: only what the default timeline shows")
    ] = "all"
    status: Annotated[EventStatus | None, Optional, Field(description="only events of this status")] = None
    stage: Annotated[Number | None, Optional, Field(description="only events of this stage")] = None
    task: Annotated[Number | None, Optional, Field(description="only events of this task")] = None
    text: Text = None
    after: After = None
    limit: Limit = 100

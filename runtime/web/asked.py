"""The query parameters that several routes take."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime

from ...statemachine.lifecycles import JOB, TASK

LONGEST_TEXT = 200


def _plain(text: str) -> str:
    if "\x00" in text or any(0xD800 <= ord(char) < 0xE000 for char in text):
        raise ValueError("it holds a NUL or half a character, which no database text can hold")
    return text


def _job_status(name: str) -> str:
    return _one_of(name, tuple(JOB.by_name))


def _task_status(name: str) -> str:
    return _one_of(name, tuple(TASK.by_name))


def _one_of(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"it is one of {', '.join(known)}")
    return name


def _within_calendar(at: datetime) -> datetime:
    if not 1 < at.year < 9999:  # noqa: PLR2004 - at the ends another zone is another year, which datetime has not
        raise ValueError("its year is between 2 and 9998")
    return at


Plain = AfterValidator(_plain)
After = Annotated[str | None, Query(max_length=400, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=500, description="at most so many")]
StageNumber = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="only of this stage")]
TaskNumber = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="only of this task")]
JobStatusIs = Annotated[
    Annotated[str, AfterValidator(_job_status)] | None,
    Query(description="only jobs in this state", json_schema_extra={"enum": list(JOB.by_name)}),
]
TaskStatusIs = Annotated[
    Annotated[str, AfterValidator(_task_status)] | None,
    Query(description="only tasks in this state", json_schema_extra={"enum": list(TASK.by_name)}),
]
Moment = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
Since = Annotated[Moment | None, Query(description="only what was created then or later; with a time zone")]
Until = Annotated[Moment | None, Query(description="only what was created before; with a time zone")]
PlainText = Annotated[Annotated[str, Plain] | None, Query(max_length=LONGEST_TEXT, description="text to search for")]
TypeIs = Annotated[
    Annotated[str, Plain] | None, Query(alias="type", max_length=100, description="only jobs of this type")
]

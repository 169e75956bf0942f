"""Job parameters are typed by the handlers, checked strictly, and refused by name (F20)."""

import re
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from coremachine.statemachine.errors import DefinitionError
from coremachine.statemachine.job import Job
from coremachine.statemachine.parameters import ParameterError, parameters_model
from coremachine.statemachine.signature import Parameter
from coremachine.statemachine.stage import Stage
from coremachine.statemachine.task import task


class Shade(Enum):
    """A parameter as an enum."""

    LIGHT = "light"
    DARK = "dark"


class Window(BaseModel):
    """A parameter as a model."""

    row: int
    column: int = 0


@task
def everything(  # noqa: PLR0913 - one parameter for each type that is tried
    size: int,
    *,
    scale: float = 1.0,
    name: str = "dem",
    day: date = date(2026, 11, 23),
    fast: bool = False,
    shade: Shade = Shade.LIGHT,
    window: Window | None = None,
    tags: list[str] | None = None,
    mode: Literal["a", "b"] = "a",
) -> str:
    return f"{size} {scale} {name} {day} {fast} {shade} {window} {tags} {mode}"


JOB = Job("relief", [Stage("everything", everything)])
DEFAULTS = {
    "scale": 1.0,
    "name": "dem",
    "day": "2026-11-23",
    "fast": False,
    "shade": "light",
    "window": None,
    "tags": None,
    "mode": "a",
}


def problems_of(given: dict[str, object]) -> dict[str, str]:
    with pytest.raises(ParameterError) as refused:
        JOB.check_parameters(given)
    assert refused.value.job == "relief"
    assert str(refused.value).startswith("relief does not accept these parameters: ")
    return refused.value.problems


def test_defaults_are_filled_in_as_json() -> None:
    assert JOB.check_parameters({"size": 1}) == {"size": 1, **DEFAULTS}


def test_what_is_filled_in_passes_again_and_stays_the_same() -> None:
    once = JOB.check_parameters({"size": 1, "window": {"row": 3}, "tags": ["a"]})
    assert JOB.check_parameters(once) == once
    assert once["window"] == {"row": 3, "column": 0}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("day", "2026-01-02", "2026-01-02"),
        ("day", date(2026, 1, 2), "2026-01-02"),
        ("shade", "dark", "dark"),
        ("shade", Shade.DARK, "dark"),
        ("window", Window(row=1), {"row": 1, "column": 0}),
        ("scale", 2, 2.0),
        ("fast", True, True),
        ("tags", ("a", "b"), ["a", "b"]),
        ("name", "Höhe 🏔", "Höhe 🏔"),
    ],
)
def test_a_value_may_be_given_as_json_would_or_as_python_does(name: str, value: object, kept: object) -> None:
    assert JOB.check_parameters({"size": 1, name: value})[name] == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", True),
        ("size", "1"),
        ("size", 1.5),
        ("size", None),
        ("scale", "2"),
        ("scale", True),
        ("name", 5),
        ("day", "tomorrow"),
        ("day", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("fast", 1),
        ("fast", "yes"),
        ("shade", "grey"),
        ("tags", "abc"),
        ("tags", [1]),
        ("mode", "c"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    [(where, problem)] = problems_of({"size": 1, name: value}).items()
    assert where.split(".")[0] == name
    assert "(got " in problem


def test_a_name_that_the_job_does_not_know_is_refused() -> None:
    assert problems_of({"size": 1, "sizes": 2}) == {"sizes": "unknown parameter"}


def test_a_parameter_without_default_is_wanted() -> None:
    assert problems_of({}) == {"size": "missing"}


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of({"size": True, "colour": 1, "name": 5})
    assert list(problems) == ["size", "name", "colour"]


def test_a_problem_inside_a_value_names_the_way_to_it() -> None:
    assert list(problems_of({"size": 1, "window": {"row": "x"}})) == ["window.row"]
    assert list(problems_of({"size": 1, "tags": ["a", 2]})) == ["tags.1"]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), {1, object()}], ids=["NaN", "infinite", "an object", "a set"]
)
def test_what_is_not_json_is_refused(value: object) -> None:
    words = re.compile(r"relief does not accept these parameters: (parameters: not JSON|scale)")
    with pytest.raises(ParameterError, match=words):
        JOB.check_parameters({"size": 1, "scale": value})


def test_a_long_value_is_cut_in_the_message() -> None:
    [problem] = problems_of({"size": "x" * 10_000}).values()
    assert len(problem) < 200


def test_a_model_of_the_users_own_decides() -> None:
    class Even(BaseModel):
        model_config = {"extra": "forbid"}
        size: int
        note: str = "kept"

    @task
    def halve(size: int) -> int:
        return size // 2

    job = Job("halves", [Stage("halve", halve)], params=Even)
    assert job.check_parameters({"size": 4}) == {"size": 4, "note": "kept"}
    with pytest.raises(ParameterError, match="colour: unknown parameter"):
        job.check_parameters({"size": 4, "colour": "red"})


def test_an_untyped_parameter_takes_any_json() -> None:
    @task
    def anything(value: Any) -> Any:
        return value

    job = Job("any", [Stage("anything", anything)])
    values: list[object] = [{}, [], 0, "", None, True, {"deep": [1, {"er": None}]}]
    for value in values:
        assert job.check_parameters({"value": value}) == {"value": value}


def test_a_parameter_that_submit_keeps_for_itself_is_refused() -> None:
    with pytest.raises(DefinitionError, match="work has a parameter key, which submit reserves"):
        parameters_model("job", [("work", Parameter("key", str))])

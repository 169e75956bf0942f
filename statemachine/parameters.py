"""Job parameters: typed by the handlers' signatures, checked strictly, refused by name."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_jsonable_python

from .errors import DefinitionError, OperationError
from .signature import REQUIRED, Parameter

RESERVED = frozenset({"key", "deadline"})


class ParameterError(OperationError):
    """Parameters that a job does not accept. Carries `job` and `problems`, one text for each name."""

    def __init__(self, job: str, problems: Mapping[str, str]) -> None:
        self.job = job
        self.problems = dict(problems)
        listed = "; ".join(f"{name}: {problem}" for name, problem in self.problems.items())
        super().__init__(f"{job} does not accept these parameters: {listed}")


def parameters_model(job: str, wanted: Iterable[tuple[str, Parameter]]) -> type[BaseModel]:
    """The model of a job's parameters, made from what its handlers take by name.

    `wanted` holds pairs of a handler's name and a parameter. Raises DefinitionError if two handlers declare one name
    differently.
    """
    first: dict[str, tuple[str, Parameter]] = {}
    for handler, parameter in wanted:
        if parameter.name in RESERVED:
            raise DefinitionError(f"{job}: {handler} has a parameter {parameter.name}, which submit reserves")
        known_by, known = first.setdefault(parameter.name, (handler, parameter))
        if not known.same_as(parameter):
            raise DefinitionError(
                f"{job}: parameter {parameter.name} is {known.annotation} = {_shown(known)} in {known_by}, but"
                f" {parameter.annotation} = {_shown(parameter)} in {handler}",
            )
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is REQUIRED else parameter.default)
        for name, (_, parameter) in first.items()
    }
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False)
    try:
        return create_model(f"{job}_parameters", __config__=config, **fields)
    except (NameError, ValueError) as error:
        raise DefinitionError(f"{job}: its parameters cannot be checked: {error}") from error


def checked_parameters(job: str, model: type[BaseModel], given: Mapping[str, object]) -> dict[str, object]:
    """`given` as JSON values with defaults filled in.

    Values are read as JSON would be: a date may be text, but True is not an integer, and an unknown name
    is refused. Raises ParameterError naming every problem at once.
    """
    try:
        text = json.dumps(to_jsonable_python(dict(given)), allow_nan=False)
        checked = model.model_validate_json(text, strict=True)
        dumped: dict[str, object] = json.loads(json.dumps(checked.model_dump(mode="json"), allow_nan=False))
    except ValidationError as error:
        raise ParameterError(job, _problems(error)) from error
    except (ValueError, TypeError) as error:
        raise ParameterError(job, {"parameters": f"not JSON: {error}"}) from error
    return dumped


def _problems(error: ValidationError) -> dict[str, str]:
    problems: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        where = ".".join(map(str, problem["loc"])) or "parameters"
        words = {"extra_forbidden": "unknown parameter", "missing": "missing"}
        problems[where] = words.get(problem["type"], f"{problem['msg']} (got {_short(problem['input'])})")
    return problems


def _short(value: object, most: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _shown(parameter: Parameter) -> str:
    return "required" if parameter.default is REQUIRED else repr(parameter.default)

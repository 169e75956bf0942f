"""What a handler takes, read from its signature: an input, job parameters by name, a context."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from .context import TaskContext
from .errors import DefinitionError

REQUIRED: Any = inspect.Parameter.empty
AS_JSON: frozenset[object] = frozenset({Any, object, dict, list, str, int, float, bool, inspect.Parameter.empty})


@dataclass(frozen=True)
class Parameter:
    """One parameter of a handler: its name, annotation, and default (REQUIRED if it has none)."""

    name: str
    annotation: Any
    default: Any = REQUIRED

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """Converts a JSON value to what the handler expects; None if it expects the JSON value."""
        plain = typing.get_origin(self.annotation) in {dict, list} and set(typing.get_args(self.annotation)) <= AS_JSON
        return None if plain or self.annotation in AS_JSON else TypeAdapter(self.annotation)

    def same_as(self, other: "Parameter") -> bool:
        """Whether two handlers declare this name the same way."""
        return bool(self.annotation == other.annotation and self.default == other.default)


@dataclass(frozen=True)
class Signature:
    """The parameters of a function in order, its context parameter set apart."""

    parameters: tuple[Parameter, ...]
    context: str | None

    def split(self, *, fed: bool, where: str) -> tuple[Parameter | None, tuple[Parameter, ...]]:
        """The parameter that takes the input, if the stage feeds one, and those that take job parameters.

        Raises DefinitionError if an input is fed and the function has no parameter for it.
        """
        if not fed:
            return None, self.parameters
        if not self.parameters:
            raise DefinitionError(f"{where}: the stage passes an input to its handler, but the handler takes none")
        return self.parameters[0], self.parameters[1:]


def signature_of(function: Callable[..., object], as_given: frozenset[str] = frozenset()) -> Signature:
    """Read the signature of `function`. Parameters named in `as_given` take objects, not JSON values.

    Raises DefinitionError for *args, **kwargs, positional-only parameters, annotations that cannot be resolved and
    types that pydantic cannot read from JSON.
    """
    name = getattr(function, "__qualname__", repr(function))
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionError(f"{name}: its annotations cannot be resolved: {error}") from error
    parameters: list[Parameter] = []
    context = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise DefinitionError(f"{name}: parameter {parameter} has no name that a job parameter could have")
        annotation = Any if parameter.name in as_given else hints.get(parameter.name, Any)
        if annotation is TaskContext:
            context = parameter.name
            continue
        parameters.append(_checked(name, Parameter(parameter.name, annotation, parameter.default)))
    return Signature(tuple(parameters), context)


def _checked(where: str, parameter: Parameter) -> Parameter:
    try:
        _ = parameter.adapter
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise DefinitionError(
            f"{where}: parameter {parameter.name} is a {parameter.annotation}, which cannot be read from JSON",
        ) from error
    return parameter


def converted(parameter: Parameter, value: object) -> object:
    """`value`, a JSON value, converted to what the handler expects. Raises pydantic's ValidationError."""
    return value if parameter.adapter is None else parameter.adapter.validate_python(value)


def defaults_of(parameters: tuple[Parameter, ...]) -> Mapping[str, object]:
    """The defaults of those parameters that have one."""
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not REQUIRED}

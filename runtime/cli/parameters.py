"""Parameters as they come from a command line: name=value, and files of JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typer
from pydantic import TypeAdapter, ValidationError

from ...statemachine.job import Job
from .errors import InputError


def parameters_given(job: Job, pairs: Sequence[str], file: str | None) -> dict[str, object]:
    """The parameters in `file` and in `pairs` of name=value, which go before it. The job has yet to check them.

    Raises InputError for a file that holds no JSON object, and typer.BadParameter for a pair that is none.
    """
    given = {} if file is None else _from_file(file)
    named: set[str] = set()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not of the form name=value")
        if name in named:
            raise typer.BadParameter(f"{name} is given twice")
        named.add(name)
        given[name] = value_of(job, name, text)
    return given


def value_of(job: Job, name: str, text: str) -> object:
    """`text` as the value of a parameter: text where the job wants text, else JSON where it is JSON.

    Where a parameter may be both, as `str | None`, it is read as JSON only if the job takes it so.
    """
    field = job.parameters.model_fields.get(name)
    if field is not None and field.annotation is str:
        return text
    try:
        value: object = json.loads(text, parse_constant=_refused)
    except ValueError:
        return text
    if field is None or _takes(field.annotation, text) or not _takes(field.annotation, json.dumps(text)):
        return value
    return text


def _takes(annotation: Any, value: str) -> bool:
    try:
        TypeAdapter(annotation).validate_json(value, strict=True)
    except ValidationError:
        return False
    return True


def _refused(constant: str) -> object:
    raise ValueError(constant)


def _from_file(name: str) -> dict[str, object]:
    where = "standard input" if name == "-" else name
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        value: object = json.loads(text)
    except OSError as error:
        raise InputError(f"--params {where}", f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--params {where}", f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"--params {where}", f"it must hold a JSON object of parameters, not a {type(value).__name__}")
    return cast("dict[str, object]", value)

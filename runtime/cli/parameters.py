"""Job parameters from the command line: NAME=VALUE arguments, and files of JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typer
from pydantic import TypeAdapter, ValidationError

from ...statemachine.job import Job
from .errors import InputError


def parse_parameters(job: Job, pairs: Sequence[str], file: str | None) -> dict[str, object]:
    """The parameters in `file` and in `pairs` of NAME=VALUE, which override the file. The job does not check them here.

    Raises InputError if the file holds no JSON object, and typer.BadParameter for a malformed pair.
    """
    parameters = {} if file is None else _from_file(file)
    named: set[str] = set()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not of the form NAME=VALUE")
        if name in named:
            raise typer.BadParameter(f"{name} is given twice")
        named.add(name)
        parameters[name] = parse_value(job, name, text)
    return parameters


def parse_value(job: Job, name: str, text: str) -> object:
    """`text` as the value of a parameter: text if the job declares text, else JSON if it is JSON, else text.

    For a parameter that may be text or something else (`str | None`), it is JSON only if the job accepts that.
    """
    field = job.parameters.model_fields.get(name)
    if field is not None and field.annotation is str:
        return text
    try:
        value: object = json.loads(text, parse_constant=_reject_constant)
    except ValueError:
        return text
    if field is None or _accepts(field.annotation, text) or not _accepts(field.annotation, json.dumps(text)):
        return value
    return text


def _accepts(annotation: Any, value: str) -> bool:
    try:
        TypeAdapter(annotation).validate_json(value, strict=True)
    except ValidationError:
        return False
    return True


def _reject_constant(constant: str) -> object:
    raise ValueError(constant)


def _from_file(name: str) -> dict[str, object]:
    source = "standard input" if name == "-" else name
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        value: object = json.loads(text)
    except OSError as error:
        raise InputError(f"--params {source}", f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--params {source}", f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"--params {source}", f"must hold a JSON object of parameters, not a {type(value).__name__}")
    return cast("dict[str, object]", value)

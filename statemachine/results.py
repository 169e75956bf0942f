"""Results: what a handler returns, as JSON text; a value that cannot be JSON is refused by type and field (GAP-5)."""

import dataclasses
import inspect
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from .errors import OperationError

LARGEST_RESULT = 16 * 1024 * 1024


class ResultError(OperationError):
    """A handler's result cannot be JSON. Carries `field` (as in `result.tiles[3].path`), `type` and `reason`."""

    def __init__(self, field: str, kind: str, reason: str) -> None:
        self.field = field
        self.type = kind
        self.reason = reason
        super().__init__(f"{field} is a {kind}: {reason}")


def json_text(value: object, name: str = "result", largest: int = LARGEST_RESULT) -> str:
    """`value` as JSON text that PostgreSQL can store, and returns unchanged.

    Dataclasses, pydantic models, dates, paths, UUIDs, enums, sets and tuples are converted by pydantic.
    Raises ResultError for a coroutine, generator or other object, NaN and infinities, keys that are not text, NUL,
    lone surrogates, and more than `largest` bytes.
    """
    try:
        text = _encode(value)
        suspicious = "\\u0000" in text or "\\ud" in text or _has_odd_keys(value)
    except (TypeError, ValueError, RecursionError, PydanticSerializationError):
        suspicious, text = True, ""
    if suspicious:
        _refuse(value, name, 0)
        text = _encode(value)
    if len(text) > largest:
        raise ResultError(
            name, type(value).__name__, f"{len(text)} bytes of JSON, more than {largest}; keep it in a file"
        )
    return text


def _converted(value: object) -> Any:
    if _holds_unrun(value):
        raise TypeError("has to be run first")
    return to_jsonable_python(value)


_encode = json.JSONEncoder(allow_nan=False, default=_converted, separators=(",", ":")).encode
"""json.dumps would create an encoder for each result."""


def _holds_unrun(value: object) -> bool:
    """Pydantic exhausts an iterator that it finds, so that a later use of it in the handler gets nothing."""
    if isinstance(value, Iterator) or inspect.iscoroutine(value) or inspect.isasyncgen(value):
        return True
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(_holds_unrun(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, BaseModel):
        return any(_holds_unrun(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(_holds_unrun(inner) for inner in cast("Mapping[object, object]", value).values())
    return isinstance(value, list | tuple | set | frozenset) and any(map(_holds_unrun, cast("list[object]", value)))


def _has_odd_keys(value: object) -> bool:
    """json.dumps silently turns 1, None and True into text keys."""
    if isinstance(value, dict):
        known = cast("dict[object, object]", value)
        return any(not isinstance(key, str) or _has_odd_keys(inner) for key, inner in known.items())
    return isinstance(value, list | tuple) and any(_has_odd_keys(inner) for inner in cast("list[object]", value))


DEEPEST = 200


def _refuse(value: object, field: str, depth: int) -> None:
    """Raise ResultError for the first thing in `value` that is not JSON; return if all of it is."""
    kind = type(value).__name__
    if depth > DEEPEST:
        raise ResultError(field, kind, f"nested more than {DEEPEST} deep, or within itself")
    if isinstance(value, str):
        _refuse_text(value, field)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ResultError(field, kind, f"{value} is not JSON")
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise ResultError(field, kind, f"its key {key!r} is a {type(key).__name__}, not text")
            _refuse_text(key, f"{field} key")
            _refuse(inner, f"{field}.{key}", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, inner in enumerate(cast("list[object]", value)):
            _refuse(inner, f"{field}[{index}]", depth + 1)
    elif not (value is None or isinstance(value, bool | int | float)):
        _refuse_object(value, field, depth)


def _refuse_text(value: str, field: str) -> None:
    if "\x00" in value:
        raise ResultError(field, "str", "holds a NUL character, which PostgreSQL cannot keep")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ResultError(field, "str", "holds a lone surrogate, which is not text")


def _refuse_object(value: object, field: str, depth: int) -> None:
    kind = type(value).__name__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for inner in dataclasses.fields(value):
            _refuse(getattr(value, inner.name), f"{field}.{inner.name}", depth + 1)
        return
    if isinstance(value, BaseModel):
        for attribute in type(value).model_fields:
            _refuse(getattr(value, attribute), f"{field}.{attribute}", depth + 1)
        return
    try:
        plain = _converted(value)
    except (TypeError, ValueError, PydanticSerializationError) as error:
        hint = "return data, not a " + kind if "run first" not in str(error) else "await or exhaust it in the handler"
        raise ResultError(field, kind, f"cannot be JSON; {hint}") from error
    _refuse(plain, field, depth + 1)

"""Text that PostgreSQL can always store, so that a failure can always be written."""

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic_core import from_json

ERROR_LIMIT = 2_000
TRACEBACK_LIMIT = 8_000
TYPE_LIMIT = 200
OURS = Path(__file__).resolve().parents[1]


def cleaned(text: str, most: int = ERROR_LIMIT) -> str:
    """`text` without NUL and lone surrogates, cut in the middle to at most `most` characters."""
    safe = text.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode("utf-8")
    if len(safe) <= most:
        return safe
    half = most // 2
    return f"{safe[:half]} … {len(safe) - 2 * half} characters left out … {safe[-half:]}"


def error_data(error: BaseException) -> dict[str, object]:
    """An exception as the data of an event: type, message and traceback, cleaned and capped."""
    trace = "".join(traceback.format_exception(type(error), error, _theirs(error)))
    return {
        "type": cleaned(type(error).__name__, TYPE_LIMIT),
        "message": cleaned(_words(error)),
        "traceback": cleaned(trace, TRACEBACK_LIMIT),
    }


def read_json(text: str | bytes) -> Any:
    """JSON as json.loads reads it, in a fifth of the time; below 200 levels, json.loads does it."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def _theirs(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is not CoreMachine's; all of it if every frame is."""
    frame = error.__traceback__
    while frame is not None and Path(frame.tb_frame.f_code.co_filename).resolve().is_relative_to(OURS):
        frame = frame.tb_next
    return frame or error.__traceback__


def brief(error: Mapping[str, object]) -> dict[str, object]:
    """An error without its traceback, which is stored with its task or note."""
    return {name: value for name, value in error.items() if name != "traceback"}


def _words(error: BaseException) -> str:
    try:
        return str(error) or repr(error)
    except Exception as failure:  # noqa: BLE001 - an error whose text fails must still be recorded
        return f"{type(error).__name__} (its text is not available: {type(failure).__name__})"

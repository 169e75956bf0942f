"""Cursors: where a page ended, in a form that goes into an address. Nobody has to know what is in one."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from ..problems import AskedWronglyError


def cursor_of(*place: object) -> str:
    """The cursor after a row at `place`."""
    text = json.dumps([one.isoformat() if isinstance(one, datetime) else one for one in place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str, kinds: Sequence[type]) -> list[object]:
    """The place that a cursor stands for: values of these kinds. Raises AskedWronglyError."""
    try:
        found: object = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        place = [_read(one, kind) for one, kind in zip(cast("list[object]", found), kinds, strict=True)]
    except (ValueError, TypeError) as error:
        raise AskedWronglyError(
            "after", f"{cursor[:40]!r} is no cursor of this list", "take `next` of the page before, or leave it out"
        ) from error
    return place


def _read(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError(value)
        return at
    if type(value) is not kind or (isinstance(value, int) and abs(value) > 2**31 - 1) or "\x00" in str(value):
        raise ValueError(value)
    return value

"""Cursors: the position after a page's last row, as opaque text for a URL."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from ..problems import InvalidRequestError
from .filters import MAX_INT


def encode_cursor(*position: object) -> str:
    """The cursor after a row with this sort key."""
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in position])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, types: Sequence[type]) -> list[object]:
    """The sort key in a cursor, as values of `types`. Raises InvalidRequestError."""
    try:
        found: object = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        position = [
            _decode_value(value, type_) for value, type_ in zip(cast("list[object]", found), types, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise InvalidRequestError(
            "after", f"{cursor[:40]!r} is not a cursor of this list", "use `next` of the previous page, or omit `after`"
        ) from error
    return position


def _decode_value(value: object, type_: type) -> object:
    if type_ is datetime and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError(value)
        return at
    if type(value) is not type_ or (isinstance(value, int) and abs(value) > MAX_INT) or "\x00" in str(value):
        raise ValueError(value)
    return value

"""The hand-written statements: one per file in runtime/sql, read once."""

import re
from functools import cache
from importlib.resources import files

from .. import sql

FOUNDING = re.compile(r"\bapp\.")


@cache
def query(name: str, schema: str) -> bytes:
    """The statement in `name`.sql, with the schema `app` replaced by `schema`."""
    text = files(sql).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return FOUNDING.sub(f"{schema}.", text).encode()

"""A claim that fails for one row: what was won beside it is returned, whatever becomes of the record of that row."""

from collections.abc import Sequence
from typing import Any, cast

import psycopg
import pytest

from coremachine.runtime.store import unclaimable
from coremachine.runtime.store.database import Database
from coremachine.runtime.store.unclaimable import Unclaimable

ROWS = [{"key": "good", "job_id": "a"}, {"key": "bad", "job_id": "b"}]


async def claim(limit: int, without: Sequence[str]) -> Sequence[str]:
    due = [row["key"] for row in ROWS if row["key"] not in without][:limit]
    if "bad" in due:
        raise psycopg.errors.NumericValueOutOfRange("too large")
    return due


async def due(limit: int, without: Sequence[str]) -> Sequence[dict[str, Any]]:
    return [row for row in ROWS if row["key"] not in without][:limit]


async def test_what_was_won_is_returned_though_the_other_row_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unreachable(*_: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(unclaimable, "set_aside", unreachable)
    around = Unclaimable(cast("Database", None), "me")
    assert await around.claim("claim task", 2, claim, due) == ["good"]
    assert around.keys("claim task") == ["bad"]
    assert await around.claim("claim task", 2, claim, due) == ["good"]

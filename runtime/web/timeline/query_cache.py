"""A cache for the queries of big stages, so that many visitors and refreshes cost as much as one.

A stage that has ended does not change, unless it is resumed and then ends again. The result for an open stage is reused
for ten times as long as the query took.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from ...store.session import Session
from ..api.rows import DatabaseRow, JobStageRow

MAX_ENTRIES = 100
AGE_FACTOR = 10.0
MAX_AGE_SECONDS = 5.0
R = TypeVar("R", bound=DatabaseRow)


class StageQueryCache:
    """Holds the results of the last hundred queries."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, tuple[float, Sequence[DatabaseRow]]] = OrderedDict()

    async def fetch(
        self, session: Session, name: str, row_type: type[R], stage: JobStageRow, parameters: Mapping[str, object]
    ) -> Sequence[R]:
        """Return the rows of a query about a stage, cached or new."""
        # the end time is part of the key: a resumed stage ends at another time
        key = (name, stage.finished_at, repr(sorted(parameters.items())))
        valid_until, cached = self._entries.get(key, (0.0, ()))
        began = time.monotonic()
        if began < valid_until:
            return cast("Sequence[R]", cached)
        rows = [row_type.of(row) for row in await session.fetch(name, parameters)]
        ended = time.monotonic()
        max_age = min(MAX_AGE_SECONDS, AGE_FACTOR * (ended - began))
        self._entries[key] = (float("inf") if stage.finished_at is not None else ended + max_age, rows)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return rows

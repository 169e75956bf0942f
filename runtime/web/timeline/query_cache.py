"""What was read of big stages a short time ago, so that many readers and refreshes cost what one does.

Nothing about a stage that has ended changes, unless it is resumed and ends anew. Of an open one a reading is good for
ten times as long as it took.
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
    """Keeps the rows of the last hundred readings."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, tuple[float, Sequence[DatabaseRow]]] = OrderedDict()

    async def fetch(
        self, session: Session, name: str, row_type: type[R], stage: JobStageRow, parameters: Mapping[str, object]
    ) -> Sequence[R]:
        """The rows of a query about a stage."""
        # the time of its end is part of what it is known by: a stage that was resumed ends at another
        key = (name, stage.finished_at, repr(sorted(parameters.items())))
        until, cached = self._entries.get(key, (0.0, ()))
        began = time.monotonic()
        if began < until:
            return cast("Sequence[R]", cached)
        rows = [row_type.of(row) for row in await session.fetch(name, parameters)]
        ended = time.monotonic()
        max_age = min(MAX_AGE_SECONDS, AGE_FACTOR * (ended - began))
        self._entries[key] = (float("inf") if stage.finished_at is not None else ended + max_age, rows)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return rows

"""What was read of big stages a short time ago, so that many readers and refreshes cost what one does.

Nothing about a stage that has ended changes, unless it is resumed and ends anew. Of an open one a reading is good for
ten times as long as it took.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping

from ...store.session import Row, Session

MOST = 100
GOOD_FOR = 10.0
LONGEST = 5.0


class StageReadings:
    """Keeps the rows of the last hundred readings."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, tuple[float, list[Row]]] = OrderedDict()

    async def read(self, session: Session, name: str, stage: Row, given: Mapping[str, object]) -> list[Row]:
        """The rows of a query about a stage."""
        # the time of its end is part of what it is known by: a stage that was resumed ends at another
        place = (name, stage["finished_at"], repr(sorted(given.items())))
        until, rows = self._kept.get(place, (0.0, []))
        began = time.monotonic()
        if began < until:
            return rows
        rows = await session.fetch(name, given)
        ended = time.monotonic()
        good_for = min(LONGEST, GOOD_FOR * (ended - began))
        self._kept[place] = (float("inf") if stage["finished_at"] is not None else ended + good_for, rows)
        self._kept.move_to_end(place)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return rows

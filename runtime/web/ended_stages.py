"""What was read of big stages that have ended: nothing about them changes, unless they are resumed and end anew."""

from collections import OrderedDict
from collections.abc import Mapping

from ..store.session import Row, Session

MOST = 100


class EndedStages:
    """Keeps the rows of the last hundred readings."""

    def __init__(self) -> None:
        self._rows: OrderedDict[object, list[Row]] = OrderedDict()

    async def read(self, session: Session, name: str, stage: Row, given: Mapping[str, object]) -> list[Row]:
        """The rows of a query about a stage. A stage that has not ended is read each time."""
        if stage["finished_at"] is None:
            return await session.fetch(name, given)
        # the time of its end is part of what it is known by: a stage that was resumed ends at another
        place = (name, stage["finished_at"], repr(sorted(given.items())))
        if place not in self._rows:
            self._rows[place] = await session.fetch(name, given)
            if len(self._rows) > MOST:
                self._rows.popitem(last=False)
        return self._rows[place]

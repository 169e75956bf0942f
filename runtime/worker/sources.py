"""The sources of a worker's producers: due rows, or rows that messages name."""

from collections.abc import Sequence
from typing import Protocol

import psycopg

from ..bus.messages import Kind
from ..bus.port import MessageSource
from ..executor.task_executor import TaskExecutor
from ..store.turns import turn
from .claimer import Claimer, Work
from .job_messages import JobMessages


class WorkSource(Protocol):
    """Work of these kinds. One with `waits` returns nothing only after it has waited for work to arrive."""

    name: str
    kinds: tuple[Kind, ...]
    waits: bool

    async def claim(self, limit: int) -> Sequence[Work]:
        """Claim up to `limit` work items. Raises psycopg.Error and BrokerError."""
        ...

    async def close(self) -> None:
        """Release its resources."""


class MessageWork:
    """Rows that the messages of one source name. Their messages are settled once the claims are committed."""

    waits = True

    def __init__(self, source: MessageSource, claimer: Claimer) -> None:
        self.name = source.name
        self.kinds = source.kinds
        self._source = source
        self._claimer = claimer

    async def claim(self, limit: int) -> Sequence[Work]:
        """Claim the rows that up to `limit` messages name."""
        with turn():
            messages = await self._source.receive(limit)
        if not messages:
            return ()
        try:
            won, settlements = await self._claimer.claim_named(messages)
        except BaseException as error:
            self._source.failed(error)
            raise
        self._source.settle(list(zip(messages, settlements, strict=True)))
        return won

    async def close(self) -> None:
        """Abandon messages that were not settled."""
        await self._source.close()


class DueWork:
    """Due rows of one kind."""

    waits = False

    def __init__(self, kind: Kind, claimer: Claimer) -> None:
        self.name = f"{kind}s"
        self.kinds: tuple[Kind, ...] = (kind,)
        self._kind: Kind = kind
        self._claimer = claimer

    async def claim(self, limit: int) -> Sequence[Work]:
        """Claim up to `limit` due rows."""
        return await self._claimer.claim_due(self._kind, self._claimer.types_in_turn(self._kind), limit)

    async def close(self) -> None:
        """Does nothing: it holds no resources."""


class DueJobs(DueWork):
    """Due job messages. A single message is handled in the transaction that claims it."""

    def __init__(self, claimer: Claimer, messages: JobMessages) -> None:
        super().__init__("job", claimer)
        self._messages = messages

    async def claim(self, limit: int) -> Sequence[Work]:
        """Claim up to `limit` due messages. The caller handles the returned ones."""
        return await self._messages.claim(self._claimer.types_in_turn("job"), limit)


class DueTasks(DueWork):
    """Due tasks: as many as can begin at once, and if there are more, further ones of brief types to wait here."""

    def __init__(self, claimer: Claimer, executor: TaskExecutor) -> None:
        super().__init__("task", claimer)
        self._executor = executor

    async def claim(self, limit: int) -> Sequence[Work]:
        """Claim up to `limit` tasks."""
        types, free_slots = self._claimer.types_in_turn("task"), self._executor.free_slots
        won = list(await self._claimer.claim_due("task", types, min(limit, free_slots)))
        if len(won) < free_slots:
            return won
        for brief_types, most in self._executor.prefetch_allowance(types):
            if len(won) < limit:
                try:
                    won += await self._claimer.claim_due("task", brief_types, min(limit - len(won), most))
                except psycopg.Error:
                    if not won:
                        raise
                    break  # tasks that were won before must run; the next claim raises the error
        return won

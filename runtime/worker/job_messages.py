"""The job messages of a worker: it claims them, and handles each; a lone one in the transaction that claims it."""

from collections.abc import Mapping, Sequence

import psycopg

from ...statemachine.job import Job
from ..flow.flow import Done, Flow, Takes
from ..flow.handle_job import handle_job_message, handle_where_claimed
from ..flow.retry_later import put_off
from ..leases.lease_table import LeaseTable
from ..logs import logger
from ..store.rows import JobMessage
from ..store.session import Row, Session
from ..store.unclaimable import Unclaimable

log = logger("worker")


class JobMessages:
    """Claims and handles for one worker, which takes only the messages of the jobs that it declares."""

    def __init__(
        self, flow: Flow, jobs: Mapping[str, Job], held: LeaseTable, lease: float, unclaimable: Unclaimable
    ) -> None:
        self._flow = flow
        self._jobs = jobs
        self._held = held
        self._lease = lease
        self._unclaimable = unclaimable

    async def claim(self, kinds: Sequence[str], limit: int) -> Sequence[JobMessage]:
        """Claim up to `limit` due messages of these jobs. Those returned are to be handled.

        A lone one is handled where it is claimed, if none of the user's code has to run for that: what a job that comes
        alone waits for is one commit less. Where that fails it is claimed as others are, and its failures counted.
        """

        async def due(limit: int, without: Sequence[str]) -> Sequence[Row]:
            async with self._flow.database.session() as session:
                return await session.fetch("relay/due_jobs", {"kinds": kinds, "without": without, "limit": limit})

        async def claim(limit: int, without: Sequence[str]) -> Sequence[JobMessage]:
            wanted = {"kinds": kinds, "limit": limit, "owner": self._flow.owner, "lease": self._lease}
            return await self._claim_or_handle(wanted | {"without": without}, lone=limit > 1)

        return await self._unclaimable.claim("claim job", limit, claim, due)

    async def handle(self, message: JobMessage) -> None:
        """Do what is next, and do not raise: what fails is put off."""
        outage = self._flow.database.outage
        try:
            done = await outage.retry_until_available(lambda: handle_job_message(self._flow, self._jobs, message))
            _handled(message, done)
        except Exception as failure:  # noqa: BLE001 - logged, told by an event, and counted in put_off
            await self._put_off(message, failure)
        finally:
            self._held.drop("job", [(message.job_id, message.lease_number)])

    async def _claim_or_handle(self, wanted: Mapping[str, object], *, lone: bool) -> Sequence[JobMessage]:
        """With `lone` one that comes alone is handled at once: where there is room for no more, others wait."""
        if not lone:
            return await self._claim(wanted)
        begun: list[JobMessage] = []
        try:
            return await self._claim_and_handle(wanted, begun)
        except Exception as failure:
            if not begun:
                raise
            what = "a job message could not be handled where it was claimed; it is claimed again"
            log.warning(what, job=begun[-1].job_id, exc_info=failure)
        return await self._claim(wanted)

    async def _claim(self, wanted: Mapping[str, object]) -> Sequence[JobMessage]:
        with self._held.claiming("job") as won:
            async with self._flow.database.session() as session:
                rows = await session.fetch("worker/claim_job_messages", wanted)
            messages = [JobMessage.of(row) for row in rows]
            won.update({message.job_id: message.lease_number for message in messages})
        return messages

    async def _claim_and_handle(self, wanted: Mapping[str, object], begun: list[JobMessage]) -> Sequence[JobMessage]:
        """`begun` has the lone message from where its handling begins."""
        with self._held.claiming("job") as won, self._flow.taking() as taker:
            messages, done = await self._flow.database.commit_once(
                lambda session: self._claimed(session, wanted, begun, taker)
            )
            if done is None:
                won.update({message.job_id: message.lease_number for message in messages})
                return messages
            taker.take(done[1])
        _handled(messages[0], done[0])
        return ()

    async def _claimed(
        self, session: Session, wanted: Mapping[str, object], begun: list[JobMessage], taker: Takes
    ) -> tuple[Sequence[JobMessage], Done | None]:
        rows = await session.fetch("worker/claim_job_messages", wanted)
        messages = [JobMessage.of(row) for row in rows]
        if len(rows) != 1:
            return messages, None
        begun[:] = messages
        return messages, await handle_where_claimed(session, self._flow, self._jobs, rows[0], taker)

    async def _put_off(self, message: JobMessage, error: Exception) -> None:
        """Where not even that can be written, the message comes again when its lease has run out."""
        try:
            done = await put_off(self._flow, message, error)
        except psycopg.Error as lost:
            done = f"it comes again with its lease: {str(lost).strip()}"
        log.error("a job message could not be handled", job=message.job_id, done=done, exc_info=error)


def _handled(message: JobMessage, done: str) -> None:
    log.debug("job message handled", job=message.job_id, done=done)

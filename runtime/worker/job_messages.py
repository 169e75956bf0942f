"""The job messages of a worker: it claims and handles them; a single one in the transaction that claims it."""

from collections.abc import Mapping, Sequence

import psycopg

from ...statemachine.job import Job
from ..flow.flow import Done, Flow, TaskClaim
from ..flow.handle_job import handle_in_claim, handle_job_message
from ..flow.retry_later import retry_later
from ..leases.lease_table import LeaseTable
from ..logs import logger
from ..store.claims import Claim, claim_due
from ..store.rows import JobMessage
from ..store.session import Session
from ..store.transient import is_row_error
from .claimer import Claimer
from .work import job_messages_of

log = logger("worker")


class JobMessages:
    """Claims and handles job messages for one worker, only of the jobs that it declares."""

    def __init__(self, flow: Flow, jobs: Mapping[str, Job], leases: LeaseTable, claimer: Claimer) -> None:
        self._flow = flow
        self._jobs = jobs
        self._leases = leases
        self._claimer = claimer
        self._participant = flow.database.outage.participant()

    async def claim(self, types: Sequence[str], limit: int) -> Sequence[JobMessage]:
        """Claim up to `limit` due messages of these jobs. The caller handles the returned ones.

        A single message is handled in the transaction that claims it, if no user code has to run for it: a single job
        waits for one commit less. If that fails, it is claimed like the others, and its failures are counted.
        """

        async def claim(limit: int, without: Sequence[str]) -> Sequence[JobMessage]:
            return await self._claim_or_handle(self._claimer.claim_of("job", types, limit, without), lone=limit > 1)

        messages: Sequence[JobMessage] = await self._claimer.claim_or_leave_out("job", types, limit, claim)
        return messages

    async def handle(self, message: JobMessage) -> None:
        """Take the job's next step, and do not raise: a message that cannot be handled is retried later."""
        outage = self._flow.database.outage
        try:
            done = await outage.retry_until_available(lambda: handle_job_message(self._flow, self._jobs, message))
            self._participant.succeeded()
            _log_handled(message, done)
        except Exception as failure:  # noqa: BLE001 - logged, recorded as an event, and counted
            if isinstance(failure, psycopg.Error) and not is_row_error(failure):
                self._participant.failed(failure)  # not the job's failure: it is claimed again when its lease expires
            else:
                await self._retry_later(message, failure)
        finally:
            self._leases.drop("job", [(message.job_id, message.lease_number)])

    async def _claim_or_handle(self, claim: Claim, *, lone: bool) -> Sequence[JobMessage]:
        """With `lone`, a single message is handled at once: without capacity for more, others would wait."""
        if not lone:
            return await self._claim(claim)
        begun: list[JobMessage] = []
        try:
            return await self._claim_and_handle(claim, begun)
        except Exception as failure:
            if not begun:
                raise
            what = "a job message could not be handled where it was claimed; it is claimed again"
            log.warning(what, job=begun[-1].job_id, exc_info=failure)
        return await self._claim(claim)

    async def _claim(self, claim: Claim) -> Sequence[JobMessage]:
        with self._leases.claiming("job") as won:
            async with self._flow.database.session() as session:
                messages = job_messages_of(await claim_due(session, claim))
            won.update(_leases_of(messages))
        return messages

    async def _claim_and_handle(self, claim: Claim, begun: list[JobMessage]) -> Sequence[JobMessage]:
        """`begun` receives the single message when its handling begins."""
        with self._leases.claiming("job") as won, self._flow.claim_on_open() as task_claim:
            messages, done = await self._flow.database.commit_once(
                lambda session: self._claimed(session, claim, begun, task_claim)
            )
            if done is None:
                won.update(_leases_of(messages))
                return messages
            if task_claim is not None:
                task_claim.committed(done.claimed)
        _log_handled(messages[0], done.what)
        return ()

    async def _claimed(
        self, session: Session, claim: Claim, begun: list[JobMessage], task_claim: TaskClaim | None
    ) -> tuple[Sequence[JobMessage], Done | None]:
        rows = await claim_due(session, claim)
        messages = job_messages_of(rows)
        if len(rows) != 1:
            return messages, None
        begun[:] = messages
        return messages, await handle_in_claim(session, self._flow, self._jobs, rows[0], task_claim)

    async def _retry_later(self, message: JobMessage, error: Exception) -> None:
        """Record the failure. If that fails too, the message is claimed again when its lease expires."""
        try:
            done = await retry_later(self._flow, message, error)
        except psycopg.Error as lost:
            done = f"it is claimed again when its lease has expired: {str(lost).strip()}"
        log.error("a job message could not be handled", job=message.job_id, done=done, exc_info=error)


def _leases_of(messages: Sequence[JobMessage]) -> dict[str, int]:
    return {message.job_id: message.lease_number for message in messages}


def _log_handled(message: JobMessage, done: str) -> None:
    log.debug("job message handled", job=message.job_id, done=done)

"""retry_later: makes a job message that could not be handled due again later, a limited number of times."""

from ...sql_generator.queues import retry_later_statement
from ...statemachine.lifecycles import GAP_FOUND
from ...statemachine.retry import Backoff
from ...statemachine.tables import JOBS
from ..errors import StaleMessageError
from ..store.rows import JobMessage
from ..store.session import Note, Row, Session
from ..store.text import error_data
from .advance import end_job
from .flow import Flow
from .job_message import acknowledge, own_message
from .stop import lock_job

BACKOFF = Backoff(first=1, most=60)
MOST_HANDLINGS = 10


async def retry_later(flow: Flow, message: JobMessage, error: BaseException) -> str:
    """Make the message due later and record why; after 10 failures in a row fail its job. Returns what was done.

    A job whose stage is open needs no message: the stage requeues it when it closes.
    """
    failure = error_data(error)
    async with flow.database.transaction() as session:
        try:
            job = await own_message(session, message, flow.owner)
        except StaleMessageError as stale:
            return str(stale)
        _, stage = await lock_job(session, message.job_id)
        times = (job.message_failures or 0) + 1
        await _note(session, message, failure, times)
        if stage is not None:
            await acknowledge(session, message)
            return f"stage {stage.stage} is open"
        if times >= MOST_HANDLINGS:
            await end_job(session, job, "the job's message could not be handled", _last_error(failure, times), {})
            return "the job has failed"
        later = {"key": message.job_id, "lease_number": message.lease_number, "delay": BACKOFF.delay(times)}
        await session.statement(retry_later_statement(JOBS, session.schema), later)
    return "it is retried later"


def _last_error(failure: Row, times: int) -> Row:
    last = f"{failure['type']}: {failure['message']}"
    message = f"the job's message could not be handled {times} times; the last time {last}"
    return {**failure, "type": "MessageNotHandled", "message": message}


async def _note(session: Session, message: JobMessage, failure: Row, times: int) -> None:
    data = {"gap": "job message not handled", "time": times, "of": MOST_HANDLINGS, **failure}
    await session.note([Note(type=GAP_FOUND, job_id=message.job_id, data=data)])

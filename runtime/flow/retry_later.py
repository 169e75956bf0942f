"""put_off: a job message that could not be handled comes again later, and not for ever."""

from ...statemachine.retry import Backoff
from ..errors import StaleMessageError
from ..store.rows import JobMessage
from ..store.session import Note, Row, Session
from ..store.text import error_data
from .advance import end_job
from .flow import Flow
from .job_message import acknowledge, own_message
from .stop import lock_job

PUT_OFF = Backoff(first=1, most=60)
MOST_HANDLINGS = 10


async def put_off(flow: Flow, message: JobMessage, error: BaseException) -> str:
    """Have the message come again, and tell why; after 10 times in a row fail its job. Returns what was done, in words.

    A job whose stage is open needs no message: the stage sends for it when it closes.
    """
    told = error_data(error)
    async with flow.database.transaction() as session:
        try:
            job = await own_message(session, message, flow.owner)
        except StaleMessageError as stale:
            return str(stale)
        _, stage = await lock_job(session, message.job_id)
        times = (job["put_offs"] or 0) + 1
        await _tell(session, message, told, times)
        if stage is not None:
            await acknowledge(session, message)
            return f"stage {stage.stage} is open"
        if times >= MOST_HANDLINGS:
            await end_job(session, job, "the job's message could not be handled", _given_up(told, times), {})
            return "the job has failed"
        late = {"job_id": message.job_id, "lease_number": message.lease_number, "delay": PUT_OFF.delay(times)}
        await session.run("flow/retry_job_message_later", late)
    return "it comes again"


def _given_up(told: Row, times: int) -> Row:
    message = f"the job's message could not be handled {times} times; the last time {told['type']}: {told['message']}"
    return {**told, "type": "MessageNotHandled", "message": message}


async def _tell(session: Session, message: JobMessage, told: Row, times: int) -> None:
    data = {"gap": "job message not handled", "time": times, "of": MOST_HANDLINGS, **told}
    await session.note([Note(type="gap_found", job_id=message.job_id, data=data)])

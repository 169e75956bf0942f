"""handle_job_message: looks at a job as it stands and does the one thing that is next."""

from collections.abc import Mapping, Sequence

from ...statemachine.job import Job
from ..errors import StaleMessageError
from ..store.rows import JobMessage, StageRow
from ..store.session import Row, Session
from .finalize import finalize_job, finalize_where_claimed
from .flow import Done, Flow, Found, Takes
from .job_message import acknowledge
from .open_stage import open_stage, open_where_claimed


async def handle_job_message(flow: Flow, jobs: Mapping[str, Job], message: JobMessage) -> str:
    """Open the next stage, finalize, or do nothing with a reason. Returns what was done, in words.

    A message says only that somebody should look: what it finds decides, so a repeated or late message does nothing.
    """
    async with flow.database.session() as session:
        (row,), stages = await session.fetch_together(["flow/load_job", "flow/load_stages"], {"job_id": message.job_id})
    found = _found(flow, jobs, message, row, stages)
    step = next_step(row, found.stages)
    try:
        if isinstance(step, StageRow):
            return await open_stage(flow, found, step)
        if step is None:
            return await finalize_job(flow, found)
        async with flow.database.session() as session:
            await acknowledge(session, message)
    except StaleMessageError as stale:
        return str(stale)
    return step


async def handle_where_claimed(
    session: Session, flow: Flow, jobs: Mapping[str, Job], claimed: Row, taker: Takes
) -> Done | None:
    """Do what is next in the transaction that claimed a job message, which holds the job's lock.

    `claimed` is its row of claim_job_messages. None, with nothing changed, where the user's code has to run first, or
    much may have to be written.
    """
    message = JobMessage.of(claimed)
    found = _found(flow, jobs, message, claimed, claimed["stages"])
    step = next_step(claimed, found.stages)
    if isinstance(step, StageRow):
        return await open_where_claimed(session, flow, found, step, taker)
    if step is None:
        return await finalize_where_claimed(session, flow, found)
    await acknowledge(session, message)
    return step, ()


def _found(flow: Flow, jobs: Mapping[str, Job], message: JobMessage, row: Row, stages: Sequence[Row]) -> Found:
    found = Found(jobs[message.job_type], message, row, [StageRow.of(one) for one in stages])
    flow.met(row, found.stages)
    return found


def next_step(job: Row, stages: Sequence[StageRow]) -> StageRow | str | None:
    """The stage to open; None to finalize; or why there is nothing to do."""
    if job["status"] not in {"queued", "processing"}:
        return f"the job is {job['status']}"
    for stage in stages:
        if stage.status == "processing":
            return f"stage {stage.stage} is open"
        if stage.status == "pending":
            return stage
        if stage.status != "completed":
            return f"stage {stage.stage} is {stage.status}"
    return None

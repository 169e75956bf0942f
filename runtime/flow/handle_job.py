"""handle_job_message: looks at a job as it stands and does the one thing that is next."""

from collections.abc import Mapping, Sequence

from ...statemachine.job import Job
from ..errors import StaleMessageError
from ..store.rows import JobMessage, StageRow
from ..store.session import Row
from .finalize import finalize_job
from .flow import Flow, Found
from .message import acknowledge
from .open_stage import open_stage


async def handle_job_message(flow: Flow, jobs: Mapping[str, Job], message: JobMessage) -> str:
    """Open the next stage, finalize, or do nothing with a reason. Returns what was done, in words.

    A message says only that somebody should look: what it finds decides, so a repeated or late message does nothing.
    """
    async with flow.database.session() as session:
        (row,), found_stages = await session.fetch_together(["load_job", "load_stages"], {"job_id": message.job_id})
    stages = [StageRow.of(one) for one in found_stages]
    flow.met(row, stages)
    found = Found(jobs[message.job_type], message, row, stages)
    step = next_step(row, stages)
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

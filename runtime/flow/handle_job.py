"""handle_job_message: reads the current state of a job and takes its next step.

The part that may run user code is first and makes a plan. The plan is written in a transaction that holds the job's
lock: a new one, or the one that claimed the message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import psycopg

from ...statemachine.job import Job
from ...statemachine.lifecycles import JOB, STAGE
from ..errors import StaleMessageError
from ..store.rows import JobMessage, JobRow, StageRow
from ..store.session import Row, Session
from ..store.transient import is_row_error
from .finalize import Finish, finalize_job, has_finalizer, prepare_finish
from .flow import Done, Flow, Found, TaskClaim
from .job_message import acknowledge, ask_for_job, still_ours
from .open_stage import Opening, open_stage, prepare_opening

Plan = Opening | Finish | str
"""A stage to open, a job to finish, or why there is nothing to do."""


async def handle_job_message(flow: Flow, jobs: Mapping[str, Job], message: JobMessage) -> str:
    """Open the next stage, finalize, or do nothing, with a reason. Returns what was done, in words.

    A message only names the job; the job's state decides, so a repeated or late message does nothing.
    """
    async with flow.database.session() as session:
        (row,), stages = await session.fetch_together(["flow/load_job", "flow/load_stages"], {"job_id": message.job_id})
    found = _found(flow, jobs, message, row, stages)
    plan = await make_plan(flow, found, next_step(found.row, found.stages))
    try:
        return (await write_plan(flow, found, plan)).what
    except StaleMessageError as stale:
        return str(stale)


async def handle_in_claim(
    session: Session, flow: Flow, jobs: Mapping[str, Job], claimed: Row, claim: TaskClaim | None
) -> Done | None:
    """Take the next step in the transaction that claimed a job message, which holds the job's lock.

    `claimed` is the row that the claim won. Returns None, with nothing changed, if user code has to run first, or if
    many rows may have to be written.
    """
    found = _found(flow, jobs, JobMessage.of(claimed), claimed, claimed["stages"])
    plan = _plan_at_once(found)
    return None if plan is None else await _write(session, flow, found, plan, claim)


def next_step(job: JobRow, stages: Sequence[StageRow]) -> StageRow | str | None:
    """The stage to open; None to finalize; or why there is nothing to do."""
    if JOB.by_name[job.status].terminal:
        return f"the job is {job.status}"
    for stage in stages:
        if stage.status == STAGE.initial.name:
            return stage
        if not STAGE.by_name[stage.status].terminal:
            return f"stage {stage.stage} is open"
        if STAGE.by_name[stage.status].failure:
            return f"stage {stage.stage} is {stage.status}"
    return None


def _found(flow: Flow, jobs: Mapping[str, Job], message: JobMessage, row: Row, stages: Sequence[Row]) -> Found:
    found = Found(jobs[message.job_type], message, JobRow.of(row), [StageRow.of(one) for one in stages])
    flow.found(found.row, found.stages)
    return found


async def make_plan(flow: Flow, found: Found, step: StageRow | str | None) -> Plan:
    """Prepare the next step of a job. User code runs here, outside any transaction."""
    if isinstance(step, StageRow):
        return await prepare_opening(flow, found, step)
    return await prepare_finish(flow, found) if step is None else step


def _plan_at_once(found: Found) -> Plan | None:
    """The next step, if it needs no user code and writes few rows."""
    step = next_step(found.row, found.stages)
    if isinstance(step, StageRow):
        return None if step.definition.kind == "each" else Opening(stage=step, items=[None])
    if step is None:
        return None if has_finalizer(found) else Finish()
    return step


async def write_plan(flow: Flow, found: Found, plan: Plan) -> Done:
    """Write a plan in a separate transaction. Raises StaleMessageError, with nothing changed."""
    try:
        with flow.claim_on_open() as claim:
            done = await flow.database.commit_once(lambda session: _lock_and_write(session, flow, found, plan, claim))
            if claim is not None:
                claim.committed(done.claimed)
    except psycopg.Error as failure:
        if not is_row_error(failure):
            raise
        # perhaps a row of another job could not be claimed: this job continues without claiming
        done = await flow.database.commit_once(lambda session: _lock_and_write(session, flow, found, plan, None))
    return done


async def _lock_and_write(session: Session, flow: Flow, found: Found, plan: Plan, claim: TaskClaim | None) -> Done:
    """Lock the job, and the stage to be opened. If they changed since the plan was made, the message is stale."""
    message = found.message
    asked = await ask_for_job(session, message)
    if isinstance(plan, Opening):
        (row,) = await session.fetch("flow/lock_stages", {"stage_ids": [plan.stage.stage_id]})
        plan = replace(plan, stage=StageRow.of(row))
    job = await still_ours(asked, message, flow.owner)
    if isinstance(plan, Opening) and plan.stage.status != STAGE.initial.name:
        raise StaleMessageError(message.job_id)
    if isinstance(plan, Finish) and JOB.by_name[job.status].terminal:
        raise StaleMessageError(message.job_id)
    return await _write(session, flow, replace(found, row=job), plan, claim)


async def _write(session: Session, flow: Flow, found: Found, plan: Plan, claim: TaskClaim | None) -> Done:
    """Write the plan under the lock of the job, whose row has not changed."""
    match plan:
        case Opening():
            return await open_stage(session, flow, found, plan, claim)
        case Finish():
            return await finalize_job(session, flow, found, plan)
        case reason:
            await acknowledge(session, found.message)
            return Done(reason)

"""run_callback: what runs after a job has completed. Whatever becomes of it, the job's state stays."""

import asyncio
from collections.abc import Mapping

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.job import Job
from ...statemachine.lifecycles import CALLBACK
from ...statemachine.machine import Subject, machine_of
from ...statemachine.retry import Backoff
from ...statemachine.tables import CALLBACKS
from ..logs import logger
from ..store.outage import passes
from ..store.rows import ClaimedCallback
from ..store.session import Note, Row, Session
from ..store.text import error_data
from .calls import arguments
from .flow import Flow

log = logger("callback")
MOST_REFUSALS = 3
WRITE_AGAIN = Backoff(first=0.1, most=5)


async def run_callback(flow: Flow, job: Job, claimed: ClaimedCallback, more: Mapping[str, object]) -> str | None:
    """Run the callback of a completed job and record what became of it.

    The callback takes `job_id`, `result` and job parameters by name, and what is in `more`. Returns the state it ended
    in; None where somebody else had taken it over meanwhile.
    """
    async with flow.database.session() as session:
        (row,) = await session.fetch("load_job", {"job_id": claimed.job_id})
    error: Row | None = None
    if job.on_job_complete is None or job.callback_signature is None:
        error = {"type": "UndeclaredCallback", "message": f"{job.name} no longer declares on_job_complete"}
    else:
        known = {**row["parameters"], "job_id": row["job_id"], "result": row["result"], **more}
        try:
            await flow.call(job.on_job_complete, arguments(job.callback_signature, known))
        except Exception as failure:  # noqa: BLE001 - whatever user code raises is the callback's event (GAP-7)
            error = error_data(failure)
    return await _write(flow, job, claimed, error)


async def _write(flow: Flow, job: Job, claimed: ClaimedCallback, error: Row | None) -> str | None:
    """Write the outcome, as often as it takes: its worker keeps the lease meanwhile (GAP-1).

    What refuses it again and again, and is no outage, is raised: then the lease ends, and the callback is rescued, at
    most `max_rescues` times.
    """
    failures = 0
    while True:
        target: str | None = None
        try:
            async with flow.database.transaction() as session:
                target = await _record(session, job, claimed, error)
                if target is None and failures:
                    raise psycopg.Rollback  # an earlier try was committed after all: what ran once is told once
        except (psycopg.OperationalError, PoolTimeout) as lost:
            failures += 1
            if failures >= MOST_REFUSALS and not passes(lost):
                raise
            if failures == 1:
                told = {"job": claimed.job_id, "error": str(lost).strip()}
                log.warning("the outcome of a callback is held; trying to write it again", **told)
            await asyncio.sleep(WRITE_AGAIN.delay(failures))
        else:
            return target


async def _record(session: Session, job: Job, claimed: ClaimedCallback, error: Row | None) -> str | None:
    data: dict[str, object] = {"name": claimed.name, "attempt": claimed.attempt, "of": claimed.max_attempts}
    values: dict[str, object] = {"lease_number": claimed.lease_number}
    trigger = "complete"
    if error is not None:
        data["error"] = error
        trigger = "retry" if claimed.attempt < claimed.max_attempts else "fail"
        values["delay"] = job.callback_backoff.delay(claimed.attempt)
    move = machine_of(CALLBACK).fire(Subject(claimed.key, "processing"), trigger, values, data)
    note = Note(
        type="callback_executed",
        job_id=claimed.job_id,
        attempt=claimed.attempt,
        lease_number=claimed.lease_number,
        data=data,
        status=None if error is None else "failure",
    )
    await session.note([note])
    won = await session.apply(CALLBACKS, [move])
    return move.target if claimed.key in won else None

"""rescue: queues work of a lost worker again, or fails it, by the same moves as the rest of the flow."""

from collections.abc import Sequence

from ...sql_generator.queues import requeue_stalled_statement
from ...statemachine.lifecycles import CALLBACK, GAP_FOUND
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import CALLBACKS, JOBS
from ..bus.port import Announcement, Bus
from ..store.database import Database
from ..store.rows import ClaimedCallback, ClaimedTask, JobRow, StageRow
from ..store.session import Note, Session
from .advance import close_stage
from .callback import report_failed
from .outcome import Outcome, OutcomeKind
from .record_outcomes import record_outcomes

FAIL, RESCUE = CALLBACK.trigger("fail"), CALLBACK.trigger("rescue")


async def rescue_tasks(database: Database, bus: Bus, tasks: Sequence[ClaimedTask], found_by: str) -> int:
    """Take tasks with expired leases from their workers. Returns how many moved."""
    return await take_from_workers(database, bus, tasks, "expired", found_by)


async def take_from_workers(
    database: Database, bus: Bus, tasks: Sequence[ClaimedTask], kind: OutcomeKind, found_by: str
) -> int:
    """Record the same outcome of tasks whose workers have not reported one. Returns how many moved."""
    outcomes = [Outcome(task=task, kind=kind) for task in tasks]
    async with database.transaction() as session:
        won = await record_outcomes(session, bus, outcomes, found_by)
        if won:
            await bus.announce(session, [Announcement("task", task.job_id) for task in tasks if task.key in won])
    return len(won)


async def rescue_callbacks(database: Database, bus: Bus, callbacks: Sequence[ClaimedCallback], found_by: str) -> int:
    """The same for callbacks whose leases were not renewed. Returns how many moved."""
    async with database.transaction() as session:
        keys = {"keys": [callback.key for callback in callbacks]}
        expired = {
            (row["key"], row["lease_number"]) for row in await session.fetch("flow/lock_expired_callbacks", keys)
        }
        lost = [callback for callback in callbacks if (callback.key, callback.lease_number) in expired]
        for callback in lost:
            await _rescue(session, callback, found_by)
        if lost:
            await bus.announce(session, [Announcement("callback", callback.job_id) for callback in lost])
    return len(lost)


async def _rescue(session: Session, callback: ClaimedCallback, found_by: str) -> None:
    values: dict[str, object] = {"lease_number": callback.lease_number, "delay": 0.0}
    data: dict[str, object] = {"found_by": found_by, "lost_worker": callback.lease_owner}
    trigger, error = RESCUE, None
    if callback.rescues >= callback.max_rescues:
        trigger = FAIL
        error = {"type": "LeaseExpired", "message": f"its worker was lost {callback.rescues + 1} times"}
        data |= {"error": error, "attempt": callback.attempt}
    move = machine_of(CALLBACK).fire(Subject(callback.key, "processing"), trigger, values, data)
    await session.must_apply(CALLBACKS, move)
    if error is not None:
        report_failed(session, callback, trigger, error)


async def requeue_stalled(database: Database, bus: Bus, job_ids: Sequence[str]) -> int:
    """Make processing jobs due that have neither an open stage nor a message. Returns how many still had neither."""
    async with database.transaction() as session:
        statement = requeue_stalled_statement(JOBS, session.schema)
        stalled = [row["key"] for row in await session.statement(statement, {"keys": list(job_ids)})]
        await session.note(
            Note(type=GAP_FOUND, job_id=job_id, data={"gap": "no open stage and no message"}) for job_id in stalled
        )
        if stalled:
            await bus.announce(session, [Announcement("job", job_id) for job_id in stalled])
    return len(stalled)


async def close_counted_out(database: Database, bus: Bus, job_id: str, stage_id: int) -> bool:
    """Close a stage that was left open though its tasks have all ended. Returns whether it was still open."""
    async with database.transaction() as session:
        (job,) = await session.fetch("flow/lock_jobs", {"job_ids": [job_id]})
        (row,) = await session.fetch("flow/lock_stages", {"stage_ids": [stage_id]})
        stage = StageRow.of(row)
        if stage.status != "processing" or stage.tasks_open:
            return False
        data = {"gap": "every task was counted, and the stage was open"}
        await session.note([Note(type=GAP_FOUND, job_id=stage.job_id, stage=stage.stage, data=data)])
        await close_stage(session, bus, JobRow.of(job), stage)
    return True

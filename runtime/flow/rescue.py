"""rescue: work whose worker is gone is queued again, or given up, by the moves that everybody else uses."""

from collections.abc import Sequence

from ...statemachine.lifecycles import CALLBACK
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import CALLBACKS
from ..bus.port import Bus, Message
from ..store.database import Database
from ..store.rows import ClaimedCallback, ClaimedTask, StageRow
from ..store.session import Note
from .advance import close_stage
from .callback import report_failed
from .outcome import Outcome
from .run_task import settle


async def rescue_tasks(database: Database, bus: Bus, tasks: Sequence[ClaimedTask], found_by: str) -> int:
    """Take tasks away from workers that let their leases run out. Returns how many moved."""
    outcomes = [Outcome(task=task, kind="expired") for task in tasks]
    async with database.transaction() as session:
        won = await settle(session, bus, outcomes, found_by)
        if won:
            await bus.announce(session, [Message("task", task.job_id) for task in tasks if task.key in won])
    return len(won)


async def rescue_callbacks(database: Database, bus: Bus, limit: int, found_by: str) -> int:
    """The same for callbacks. Returns how many moved."""
    async with database.transaction() as session:
        rows = await session.fetch("expired_callbacks", {"limit": limit})
        callbacks = [ClaimedCallback(**row) for row in rows]
        for callback in callbacks:
            values: dict[str, object] = {"lease_number": callback.lease_number, "delay": 0.0}
            data: dict[str, object] = {"found_by": found_by, "lost_worker": callback.lease_owner}
            trigger, error = "rescue", None
            if callback.rescues >= callback.max_rescues:
                trigger = "fail"
                error = {"type": "LeaseExpired", "message": f"its worker was lost {callback.rescues + 1} times"}
                data |= {"error": error, "attempt": callback.attempt}
            move = machine_of(CALLBACK).fire(Subject(callback.key, "processing"), trigger, values, data)
            await session.must_apply(CALLBACKS, move)
            if error is not None:
                report_failed(session, callback, trigger, error)
        if callbacks:
            await bus.announce(session, [Message("callback", callback.job_id) for callback in callbacks])
    return len(callbacks)


async def repost_idle_jobs(database: Database, bus: Bus, limit: int) -> int:
    """Send for jobs that nobody would come for. Returns how many there were."""
    async with database.transaction() as session:
        rows = await session.fetch("repost_idle_jobs", {"limit": limit})
        await session.note(
            Note(type="gap_found", job_id=row["job_id"], data={"gap": "no open stage and no message"}) for row in rows
        )
        if rows:
            await bus.announce(session, [Message("job", row["job_id"]) for row in rows])
    return len(rows)


async def close_counted_out(database: Database, bus: Bus, limit: int) -> int:
    """Close stages whose tasks have all been counted, and which nobody closed. Returns how many there were."""
    async with database.session() as session:
        found = await session.fetch("counted_out_stages", {"limit": limit})
    closed = 0
    for one in found:
        async with database.transaction() as session:
            (job,) = await session.fetch("lock_jobs", {"job_ids": [one["job_id"]]})
            (row,) = await session.fetch("lock_stages", {"stage_ids": [one["stage_id"]]})
            stage = StageRow.of(row)
            if stage.status == "processing" and not stage.still_open:
                data = {"gap": "every task was counted, and the stage was open"}
                await session.note([Note(type="gap_found", job_id=stage.job_id, stage=stage.stage, data=data)])
                await close_stage(session, bus, job, stage)
                closed += 1
    return closed

"""deadline: ends overdue tasks and jobs, by the same moves as the rest of the flow."""

from collections.abc import Sequence

from ..bus.port import Bus
from ..store.database import Database
from ..store.rows import ClaimedTask, JobRow, StageRow
from ..store.session import Session
from .advance import DEADLINE, deadline_error, end_job
from .rescue import take_from_workers
from .stop import Stop, lock_job, stop_stage


async def end_overdue_tasks(database: Database, bus: Bus, tasks: Sequence[ClaimedTask], found_by: str) -> int:
    """Take overdue tasks from workers that still renew their leases. Returns how many moved."""
    return await take_from_workers(database, bus, tasks, "overdue", found_by)


async def end_overdue_job(database: Database, bus: Bus, job_id: str) -> bool:
    """Fail a job that is past its deadline, or ask its running tasks to stop. Returns whether that was still needed."""
    async with database.transaction() as session:
        job, stage = await lock_job(session, job_id)
        if not job.is_overdue or (stage is not None and stage.stop_reason):
            return False
        if stage is None:
            why = _why(job, await _between(session, job_id))
            await end_job(session, job, "the job was past its deadline", deadline_error(why), {})
        else:
            await stop_stage(session, bus, job, stage, Stop(DEADLINE, _why(job, _under_way(stage))))
    return True


def _why(job: JobRow, under_way: str) -> str:
    within = "" if job.deadline is None else f" of {job.deadline.total_seconds():g} s"
    return f"the job did not end within its deadline{within}: {under_way}"


def _under_way(stage: StageRow) -> str:
    done = f"{stage.tasks_completed} of its {stage.tasks_total} tasks had completed"
    return f"stage {stage.stage} ({stage.name}) was processing, {done}"


async def _between(session: Session, job_id: str) -> str:
    for row in await session.fetch("flow/load_stages", {"job_id": job_id}):
        if row["status"] == "pending":
            return f"stage {row['stage']} ({row['name']}) had not been opened"
    return "its stages were complete, and it had not been finalized"

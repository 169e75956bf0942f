"""stop: stops a job. Tasks that have not started never will; running tasks are asked to stop."""

from typing import NamedTuple

from ..bus.port import Bus
from ..store.rows import JobRow, StageRow
from ..store.session import Session
from .advance import close_stage, stop_siblings


async def lock_job(session: Session, job_id: str) -> tuple[JobRow, StageRow | None]:
    """The job and its open stage, if it has one, locked in the fixed order."""
    (row,) = await session.fetch("flow/lock_jobs", {"job_ids": [job_id]})
    job = JobRow.of(row)
    stages = [StageRow.of(row) for row in await session.fetch("flow/load_stages", {"job_id": job_id})]
    for stage in stages:
        if stage.status == "processing":
            (row,) = await session.fetch("flow/lock_stages", {"stage_ids": [stage.stage_id]})
            return job, StageRow.of(row)
    return job, None


class Stop(NamedTuple):
    """Why a stage is stopped: the reason that its row keeps, the reason in words, and who requested it."""

    reason: str
    why: str
    by: str | None = None


async def stop_stage(session: Session, bus: Bus, job: JobRow, stage: StageRow, stop: Stop) -> bool:
    """Stop a locked open stage. Returns whether it is closed; if not, its last task to end will close it."""
    await stop_siblings(session, stage, stop.reason, stop.why, stop.by)
    if stage.tasks_open:
        return False
    await close_stage(session, bus, job, stage)
    return True

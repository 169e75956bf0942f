"""resume: continues a failed or cancelled job where it stopped. Tasks that succeeded do not run again."""

from dataclasses import dataclass

from ...statemachine.lifecycles import JOB, STAGE
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS, STAGES
from ..bus.port import Announcement, Bus
from ..store.database import PATIENCE_SECONDS, Database
from ..store.rows import StageRow
from ..store.session import Session

JOB_RESUME, STAGE_RESUME = JOB.trigger("resume"), STAGE.trigger("resume")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePlan:
    """What a resume does, or would do: the stage at which it continues, and how many of its tasks run again.

    `tasks_again` is 0 if the stage was never opened: then its tasks are created when it opens.
    """

    job_id: str
    status: str
    from_stage: str | None
    tasks_again: int
    tasks_kept: int


async def resume(
    database: Database, bus: Bus, job_id: str, *, dry_run: bool = False, by: str | None = None
) -> ResumePlan:
    """Queue a failed or cancelled job again, and the stages that did not complete.

    The tasks that did not succeed are queued again, as new attempts, when their stage is opened; history is kept.
    `by` is who requested it, and is recorded in the event. Raises IllegalMoveError for a job in any other state,
    DatabaseUnreachableError, and LockTimeoutError if others hold a lock on the job for PATIENCE_SECONDS: then nothing
    has changed.
    """

    async def write(session: Session) -> ResumePlan:
        (row,) = await session.fetch("flow/lock_jobs", {"job_ids": [job_id]})
        stages = [StageRow.of(row) for row in await session.fetch("flow/load_stages", {"job_id": job_id})]
        move = machine_of(JOB).fire(Subject(job_id, row["status"]), JOB_RESUME, {"delay": 0.0}, _event_data(stages, by))
        plan = planned(job_id, move.target, stages)
        if dry_run:
            return plan
        await session.must_apply(JOBS, move)
        await _resume_stages(session, job_id, stages)
        await bus.announce(session, [Announcement("job", job_id, queued=True)])
        return plan

    return await database.commit_once(write, PATIENCE_SECONDS)


def _stopped(stages: list[StageRow]) -> list[StageRow]:
    return [stage for stage in stages if stage.status != "completed"]


def _event_data(stages: list[StageRow], by: str | None) -> dict[str, object]:
    who: dict[str, object] = {"by": by} if by else {}
    return who | ({"from_stage": _stopped(stages)[0].stage} if _stopped(stages) else {})


def planned(job_id: str, status: str, stages: list[StageRow]) -> ResumePlan:
    """What a resume of a job with these stages does."""
    stopped = _stopped(stages)
    return ResumePlan(
        job_id=job_id,
        status=status,
        from_stage=stopped[0].name if stopped else None,
        tasks_again=sum(stage.tasks_failed + stage.tasks_cancelled for stage in stopped),
        tasks_kept=sum(stage.tasks_completed for stage in stages),
    )


async def _resume_stages(session: Session, job_id: str, stages: list[StageRow]) -> None:
    for state in sorted({stage.status for stage in stages} & {"failed", "cancelled"}):
        move = machine_of(STAGE).fire(Subject("*", state), STAGE_RESUME, data={"reason": "the job was resumed"})
        await session.sweep(STAGES, move, "job_id", job_id)

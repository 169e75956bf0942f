"""advance: the last task to end closes its stage and makes the job's next step due.

The database counts tasks as they move. Closing is a later statement of the same transaction, under the locks of job
and stage. So a stage closes exactly once, whichever transaction is last.
"""

from collections.abc import Mapping, Sequence

from ...sql_generator.queues import requeue_statement
from ...statemachine.errors import LostRaceError
from ...statemachine.lifecycle import Trigger
from ...statemachine.lifecycles import CHECKPOINT, JOB, STAGE, STOP_REQUESTED, TASK
from ...statemachine.machine import Subject, machine_of
from ...statemachine.tables import JOBS, STAGES, TASKS
from ..bus.port import Announcement, Bus
from ..store.reports import in_a_line, short
from ..store.rows import JobRow, StageRow
from ..store.session import Note, Row, Session
from ..store.text import brief

COMPLETE, FAIL, SKIP = STAGE.trigger("complete"), STAGE.trigger("fail"), STAGE.trigger("skip")
CLOSE_CANCELLED = STAGE.trigger("cancel")
TASK_CANCEL = TASK.trigger("cancel")
JOB_CANCEL, JOB_FAIL = JOB.trigger("cancel"), JOB.trigger("fail")

CANCEL = "cancel"
"""The stop reason of a stage whose job was cancelled: the stage ends cancelled, however its tasks end."""

FAIL_FAST = "fail_fast"
"""The policy, and the stop reason, of a stage that fails with its first failed task."""

DEADLINE = "deadline"
"""The stop reason of a stage whose job is past its deadline: the stage ends failed, however its tasks end."""


async def advance(session: Session, bus: Bus, job: JobRow, stage: StageRow) -> Trigger | None:
    """Apply the failure policy of `stage`, of which some tasks have ended and are counted; close it after the last.

    Returns the trigger that closed it, or None.
    """
    if stage.tasks_failed and stage.definition.policy == FAIL_FAST and stage.stop_reason is None:
        await stop_siblings(session, stage, FAIL_FAST, "a task of this stage failed")
    return None if stage.tasks_open else await close_stage(session, bus, job, stage)


async def read_counters(session: Session, stages: Sequence[StageRow]) -> None:
    """Read the counters of these stages again."""
    rows = await session.fetch("flow/stage_counters", {"stage_ids": [stage.stage_id for stage in stages]})
    counted = {row["stage_id"]: row for row in rows}
    for stage in stages:
        stage.update_counters(counted[stage.stage_id])


async def stop_siblings(session: Session, stage: StageRow, reason: str, why: str, by: str | None = None) -> None:
    """Cancel the tasks of `stage` that have not started; running tasks are asked to stop when they renew.

    A note records it if tasks are still running, and always if a user requested it.
    """
    move = machine_of(TASK).fire(Subject("*", "queued"), TASK_CANCEL, data={"reason": reason, "why": why})
    await session.sweep(TASKS, move, "stage_id", stage.stage_id)
    stage.stop_reason, stage.stop_why = reason, why
    rows = await session.fetch("flow/stop_stage", {"stage_id": stage.stage_id, "stop_reason": reason, "stop_why": why})
    if not rows:
        raise LostRaceError("stage", "stop", [str(stage.stage_id)])
    stage.update_counters(rows[0])
    if stage.tasks_open or by:
        data = {"reason": reason, "why": why, "running": stage.tasks_open, **({"by": by} if by else {})}
        await session.note([Note(type=STOP_REQUESTED, job_id=stage.job_id, stage=stage.stage, data=data)])


async def close_stage(session: Session, bus: Bus, job: JobRow, stage: StageRow, error: Row | None = None) -> Trigger:
    """Close a stage whose tasks have all ended, as completed, failed or cancelled, and take the next step.

    `error` is why it failed, if none of its tasks failed. Returns the trigger that closed it.
    """
    trigger = closing_trigger(stage, error)
    values: dict[str, object] = {}
    data: dict[str, object] = {**stage.counters, "name": stage.name}
    if trigger == FAIL:
        error = error or _deadline_error(stage) or await _first_error(session, stage)
        values["error"] = error
        data["error"] = brief(error)
    if trigger == CLOSE_CANCELLED and stage.stop_why:
        data["reason"] = stage.stop_why
    if trigger == COMPLETE:
        await _checkpoint(session, stage)
    move = machine_of(STAGE).fire(Subject(str(stage.stage_id), stage.status), trigger, values, data)
    await session.must_apply(STAGES, move)
    if trigger == COMPLETE:
        await _requeue_job(session, bus, stage)
    else:
        why = f"stage {stage.stage} ({stage.name}) {'failed' if trigger == FAIL else 'was cancelled'}"
        job_data: dict[str, object] = {"stage": stage.stage, "stage_name": stage.name}
        await end_job(session, job, why, error, job_data | ({"reason": stage.stop_why} if stage.stop_why else {}))
    return trigger


async def end_job(session: Session, job: JobRow, why: str, error: Row | None, data: Mapping[str, object]) -> str:
    """Fail a job of which no stage is processing with `error`, or cancel it if `error` is None. Returns its new state.

    `data` goes into its event. The stages that were not opened are cancelled, for the reason `why`.
    """
    skip = machine_of(STAGE).fire(Subject("*", "pending"), SKIP, data={"reason": why})
    await session.sweep(STAGES, skip, "job_id", job.job_id)
    subject = Subject(job.job_id, job.status)
    if error is None:
        move = machine_of(JOB).fire(subject, JOB_CANCEL, data=data)
    else:
        move = machine_of(JOB).fire(subject, JOB_FAIL, {"error": error}, {**data, "error": brief(error)})
        session.report("error", "a job failed", job=short(job.job_id), why=why, error=in_a_line(error))
    await session.must_apply(JOBS, move)
    return move.target


def closing_trigger(stage: StageRow, error: Row | None) -> Trigger:
    """The trigger that closes a stage whose tasks have all ended."""
    if stage.stop_reason == CANCEL:
        return CLOSE_CANCELLED
    if stage.tasks_failed or error or stage.stop_reason == DEADLINE:
        return FAIL
    return CLOSE_CANCELLED if stage.tasks_cancelled else COMPLETE


async def _checkpoint(session: Session, stage: StageRow) -> None:
    data = {"name": "closing stage", "tasks": stage.tasks_total}
    await session.note([Note(type=CHECKPOINT, job_id=stage.job_id, stage=stage.stage, data=data)])


async def _requeue_job(session: Session, bus: Bus, stage: StageRow) -> None:
    requeued = await session.send_statement(requeue_statement(JOBS, session.schema), {"keys": [stage.job_id]})
    await session.expect_rows(requeued, LostRaceError("job", "requeue", [stage.job_id]))
    await bus.announce(session, [Announcement("job", stage.job_id)])


def deadline_error(why: str) -> Row:
    """The error of a job that is past its deadline."""
    return {"type": "DeadlineExceeded", "message": why}


def _deadline_error(stage: StageRow) -> Row | None:
    return deadline_error(stage.stop_why or "") if stage.stop_reason == DEADLINE else None


async def _first_error(session: Session, stage: StageRow) -> Row:
    rows = await session.fetch("flow/first_failure", {"stage_id": stage.stage_id})
    first = rows[0]
    return {**(first["error"] or {}), "task_id": first["task_id"], "task_number": first["task_number"]}

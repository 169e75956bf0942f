"""open_stage: task rows, stage → processing and job → processing, in one transaction.

The items of a fan-out are had before that transaction begins: user code never runs inside one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg

from ...statemachine.lifecycles import STAGE, TASK
from ...statemachine.machine import Subject, machine_of
from ...statemachine.results import json_text
from ...statemachine.tables import STAGES, TASKS
from ..bus.port import Bus, Message
from ..errors import FanOutError, StaleMessageError
from ..store.rows import StageRow
from ..store.session import Note, Row, Session, array_text
from ..store.text import error_data
from ..store.transient import is_row_error
from .advance import close_stage, count_anew
from .calls import arguments
from .flow import Done, Flow, Found, Takes, TakesNone
from .job_message import ask_for_job, handled, still_ours
from .outputs import as_items, named, output_of, results_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """A stage that is to be opened: the items of its tasks, or why there are none."""

    stage: StageRow
    items: Sequence[str | None]
    error: Row | None = None


async def open_stage(flow: Flow, found: Found, stage: StageRow) -> str:
    """Open `stage` with its tasks. A stage with none closes at once; a fan-out that fails fails stage and job.

    Raises StaleMessageError, with nothing changed, where the message is no longer ours.
    """
    items: list[str | None] = []
    error: Row | None = None
    if not stage.tasks_total:
        try:
            items = await items_of(flow, found, stage)
        except Exception as failure:  # noqa: BLE001 - whatever user code raises is told by the stage's failure
            error = error_data(failure)
    opening = _Opening(stage=stage, items=items, error=error)
    try:
        with flow.taking() as taker:
            done, taken = await flow.database.commit_once(
                lambda session: _lock_and_write(session, flow, found, opening, taker)
            )
            taker.take(taken)
    except psycopg.Error as failure:
        if not is_row_error(failure):
            raise
        # it may be a row of another job that could not be claimed: this one opens all the same
        done, _ = await flow.database.commit_once(
            lambda session: _lock_and_write(session, flow, found, opening, TakesNone())
        )
    return done


async def open_where_claimed(session: Session, flow: Flow, found: Found, stage: StageRow, taker: Takes) -> Done | None:
    """Open a stage of one task, which is known, in the transaction that claimed the message and holds the job's lock.

    None, with nothing changed, where there may be more to it.
    """
    if stage.definition["kind"] == "each":
        return None
    return await _write(session, flow, found, _Opening(stage=stage, items=[None]), taker)


async def items_of(flow: Flow, found: Found, stage: StageRow) -> list[str | None]:
    """The items of a stage's tasks as JSON text; one None for a stage with a single task.

    Raises FanOutError, ResultError, or what the fan-out function raises.
    """
    if stage.definition["kind"] != "each":
        return [None]
    source: dict[str, str] = stage.definition["source"]
    if "parameter" in source:
        given = found.row["parameters"][source["parameter"]]
        items = as_items(stage.name, f"parameter {source['parameter']}", given)
    elif "stage" in source:
        earlier = named(found.stages, source["stage"])
        results = await flow.database.read(lambda session: results_of(session, earlier))
        many = earlier.definition["kind"] == "each"
        items = results if many else as_items(stage.name, f"stage {earlier.name}", results[0])
    else:
        items = await _items_of_function(flow, found, stage)
    return [json_text(item, f"item {index}") for index, item in enumerate(items)]


async def _items_of_function(flow: Flow, found: Found, stage: StageRow) -> list[object]:
    declared = found.job.stage(stage.name)
    signature = declared.fan_out
    if signature is None or not callable(declared.each):
        raise FanOutError(stage.name, f"{stage.definition['source']} is no longer declared by {found.job.name}")
    known: dict[str, object] = dict(found.row["parameters"])
    wanted = {parameter.name for parameter in signature.parameters}
    sources = [earlier for earlier in found.stages[: stage.stage - 1] if earlier.name in wanted]
    known |= await flow.database.read(lambda session: _outputs(session, sources))
    returned = await flow.call(declared.each, arguments(signature, known))
    return as_items(stage.name, f"function {stage.definition['source']['function']}", returned)


async def _lock_and_write(session: Session, flow: Flow, found: Found, opening: _Opening, taker: Takes) -> Done:
    asked = await ask_for_job(session, found.message)
    (stage_row,) = await session.fetch("flow/lock_stages", {"stage_ids": [opening.stage.stage_id]})
    job, stage = await still_ours(asked, found.message, flow.owner), StageRow.of(stage_row)
    if stage.status != STAGE.initial.name:
        raise StaleMessageError(found.message.job_id)
    return await _write(session, flow, replace(found, row=job), replace(opening, stage=stage), taker)


async def _write(session: Session, flow: Flow, found: Found, opening: _Opening, taker: Takes) -> Done:
    """Under the lock of the job, whose row is as it was found."""
    stage = opening.stage
    job = await handled(session, found.message, found.row)
    await _open(session, job, stage, opening.items)
    error = _failure(stage, opening.error)
    taken: Sequence[Row] = ()
    if error is None and stage.tasks_open:
        taken = await _have_run(session, flow.bus, stage, taker)
    else:
        await _close(session, flow.bus, job, stage, error)
    return f"opened stage {stage.stage} ({stage.name}) with {stage.tasks_total} tasks", taken


async def _outputs(session: Session, stages: Sequence[StageRow]) -> dict[str, object]:
    return {stage.name: await output_of(session, stage) for stage in stages}


async def _open(session: Session, job: Row, stage: StageRow, items: Sequence[str | None]) -> None:
    """The stage's move, and its tasks: new ones, or those of an earlier run that did not succeed, queued again."""
    again, new = stage.tasks_failed + stage.tasks_cancelled, 0 if stage.tasks_total else len(items)
    data = {"name": stage.name, "tasks": stage.tasks_total + new} | ({"again": again} if again else {})
    move = machine_of(STAGE).fire(Subject(str(stage.stage_id), stage.status), "open", data=data)
    await session.must_apply(STAGES, move)
    stage.status = move.target
    if again:
        await _queue_again(session, stage)
    elif new:
        await session.run("flow/insert_tasks", _task_parameters(job, stage, items))
        # as the database counts them: to ask for that would be a wait
        stage.tasks_total = stage.tasks_open = new


def _task_parameters(job: Row, stage: StageRow, items: Sequence[str | None]) -> Mapping[str, object]:
    return {
        "job_id": stage.job_id,
        "stage_id": stage.stage_id,
        "stage": stage.stage,
        "numbered_from": job["tasks_total"],
        "task_type": stage.task_type,
        "items": array_text(items),
        "max_attempts": stage.definition["max_attempts"],
        "max_rescues": stage.definition["max_rescues"],
        "timeout": stage.definition["timeout"],
    }


async def _queue_again(session: Session, stage: StageRow) -> None:
    values = {"delay": 0.0, "max_attempts": stage.definition["max_attempts"], "rescues": 0}
    for state in ("failed", "cancelled"):
        move = machine_of(TASK).fire(Subject("*", state), "resume", values, {"stage": stage.name})
        await session.sweep(TASKS, move, "stage_id", stage.stage_id)
    await count_anew(session, [stage])


def _failure(stage: StageRow, error: Row | None) -> Row | None:
    wanted = stage.definition["at_least"]
    if error is not None or stage.tasks_total >= wanted:
        return error
    message = f"stage {stage.name} has {stage.tasks_total} tasks, at least {wanted} are wanted"
    return {"type": "TooFewTasks", "message": message}


async def _have_run(session: Session, bus: Bus, stage: StageRow, taker: Takes) -> Sequence[Row]:
    """The taker's worker runs what it claims; the others hear of the rest."""
    data: dict[str, object] = {"name": "opened stage", "tasks": stage.tasks_total}
    await session.note([Note(type="checkpoint", job_id=stage.job_id, stage=stage.stage, data=data)])
    taken = await taker.claim(session, stage)
    if sum(row["stage_id"] == stage.stage_id for row in taken) < stage.tasks_open:
        await bus.announce(session, [Message("task", stage.job_id)])
    return taken


async def _close(session: Session, bus: Bus, job: Row, stage: StageRow, error: Row | None) -> None:
    """A stage that has nothing to run, or that fails as it opens, closes at once."""
    if error is not None:
        await _cancel_unstarted(session, stage)
    elif not stage.tasks_total:
        data = {"name": stage.name, "reason": "the fan-out gave no items"}
        await session.note([Note(type="stage_empty", job_id=stage.job_id, stage=stage.stage, data=data)])
    await close_stage(session, bus, job, stage, error)


async def _cancel_unstarted(session: Session, stage: StageRow) -> None:
    """Tasks of a stage that fails as it opens: none of them has started, and none may."""
    if stage.tasks_open:
        why = {"reason": "the stage failed as it opened"}
        move = machine_of(TASK).fire(Subject("*", "queued"), "cancel", data=why)
        await session.sweep(TASKS, move, "stage_id", stage.stage_id)
        await count_anew(session, [stage])

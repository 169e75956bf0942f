"""open_stage: task rows, stage → processing and job → processing, in one transaction.

The items of a fan-out are made before that transaction begins: user code never runs inside a transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...statemachine.lifecycles import CHECKPOINT, STAGE, STAGE_EMPTY, TASK
from ...statemachine.machine import Subject, machine_of
from ...statemachine.results import json_text
from ...statemachine.tables import STAGES, TASKS
from ..bus.port import Announcement, Bus
from ..errors import FanOutError
from ..store.connection import STATEMENT_SECONDS
from ..store.rows import JobRow, StageRow
from ..store.session import Note, Row, Session, array_text
from ..store.text import error_data
from ..store.turns import allow
from .advance import close_stage, read_counters
from .calls import arguments
from .flow import Done, Flow, Found, TaskClaim
from .job_message import handled
from .outputs import as_items, named, output_of, results_of

OPEN = STAGE.trigger("open")
MANY_TASKS = 10_000
"""Writing more may take longer than a lease, without the worker being stuck."""
CANCEL, RESUME = TASK.trigger("cancel"), TASK.trigger("resume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A stage to be opened: the items of its tasks as JSON text, or why there are none."""

    stage: StageRow
    items: Sequence[str | None]
    error: Row | None = None


async def prepare_opening(flow: Flow, found: Found, stage: StageRow) -> Opening:
    """Make the items of a stage, outside any transaction. An error of the fan-out fails the stage."""
    if stage.tasks_total:  # resumed: its tasks exist
        return Opening(stage=stage, items=[])
    try:
        return Opening(stage=stage, items=await items_of(flow, found, stage))
    except Exception as failure:  # noqa: BLE001 - any error of user code is recorded as the stage's failure
        return Opening(stage=stage, items=[], error=error_data(failure))


async def open_stage(session: Session, flow: Flow, found: Found, opening: Opening, claim: TaskClaim | None) -> Done:
    """Open a stage with its tasks, under the locks of job and stage; some of them may be claimed at once.

    A stage with no tasks closes at once; a fan-out that failed fails stage and job.
    """
    stage = opening.stage
    job = await handled(session, found.message, found.row)
    await _open(session, job, stage, opening.items)
    error = _failure(stage, opening.error)
    claimed: Sequence[Row] = ()
    if error is None and stage.tasks_open:
        claimed = await _claim_some(session, flow.bus, stage, claim)
    else:
        await _close(session, flow.bus, job, stage, error)
    return Done(f"opened stage {stage.stage} ({stage.name}) with {stage.tasks_total} tasks", claimed)


async def items_of(flow: Flow, found: Found, stage: StageRow) -> list[str | None]:
    """The items of a stage's tasks as JSON text; one None for a stage with a single task.

    Raises FanOutError, ResultError, or an error of the fan-out function.
    """
    if stage.definition.kind != "each":
        return [None]
    source = stage.definition.source
    if "parameter" in source:
        given = found.row.parameters[source["parameter"]]
        items = as_items(stage.name, f"parameter {source['parameter']}", given)
    elif "stage" in source:
        earlier = named(found.stages, source["stage"])
        results = await flow.database.read(lambda session: results_of(session, earlier))
        many = earlier.definition.kind == "each"
        items = results if many else as_items(stage.name, f"stage {earlier.name}", results[0])
    else:
        items = await _items_of_function(flow, found, stage)
    return [json_text(item, f"item {index}") for index, item in enumerate(items)]


async def _items_of_function(flow: Flow, found: Found, stage: StageRow) -> list[object]:
    declared = found.job.stage(stage.name)
    signature = declared.fan_out
    if signature is None or not callable(declared.each):
        raise FanOutError(stage.name, f"{dict(stage.definition.source)} is no longer declared by {found.job.name}")
    known: dict[str, object] = dict(found.row.parameters)
    wanted = {parameter.name for parameter in signature.parameters}
    sources = [earlier for earlier in found.stages[: stage.stage - 1] if earlier.name in wanted]
    known |= await flow.database.read(lambda session: _outputs(session, sources))
    returned = await flow.call(declared.each, arguments(signature, known))
    return as_items(stage.name, f"function {stage.definition.source['function']}", returned)


async def _outputs(session: Session, stages: Sequence[StageRow]) -> dict[str, object]:
    return {stage.name: await output_of(session, stage) for stage in stages}


async def _open(session: Session, job: JobRow, stage: StageRow, items: Sequence[str | None]) -> None:
    """Write the stage's move, and its tasks: new ones, or those of an earlier run that did not succeed."""
    again, new = stage.tasks_failed + stage.tasks_cancelled, 0 if stage.tasks_total else len(items)
    data = {"name": stage.name, "tasks": stage.tasks_total + new} | ({"again": again} if again else {})
    move = machine_of(STAGE).fire(Subject(str(stage.stage_id), stage.status), OPEN, data=data)
    await session.must_apply(STAGES, move)
    stage.status = move.target
    if again:
        await _queue_again(session, stage)
    elif new:
        if new > MANY_TASKS:
            allow(STATEMENT_SECONDS)
        await session.run("flow/insert_tasks", _task_parameters(job, stage, items))
        # as the database counts them: reading the counters would cost a round trip
        stage.tasks_total = stage.tasks_open = new


def _task_parameters(job: JobRow, stage: StageRow, items: Sequence[str | None]) -> Mapping[str, object]:
    return {
        "job_id": stage.job_id,
        "stage_id": stage.stage_id,
        "stage": stage.stage,
        "numbered_from": job.tasks_total,
        "task_type": stage.task_type,
        "items": array_text(items),
        "max_attempts": stage.definition.max_attempts,
        "max_rescues": stage.definition.max_rescues,
        "timeout": stage.definition.timeout,
    }


async def _queue_again(session: Session, stage: StageRow) -> None:
    values = {"delay": 0.0, "max_attempts": stage.definition.max_attempts}
    for state in ("failed", "cancelled"):
        move = machine_of(TASK).fire(Subject("*", state), RESUME, values, {"stage": stage.name})
        await session.sweep(TASKS, move, "stage_id", stage.stage_id)
    await read_counters(session, [stage])


def _failure(stage: StageRow, error: Row | None) -> Row | None:
    wanted = stage.definition.at_least
    if error is not None or stage.tasks_total >= wanted:
        return error
    message = f"stage {stage.name} has {stage.tasks_total} tasks; it needs at least {wanted}"
    return {"type": "TooFewTasks", "message": message}


async def _claim_some(session: Session, bus: Bus, stage: StageRow, claim: TaskClaim | None) -> Sequence[Row]:
    """Claim tasks for this worker, and announce the others."""
    data: dict[str, object] = {"name": "opened stage", "tasks": stage.tasks_total}
    await session.note([Note(type=CHECKPOINT, job_id=stage.job_id, stage=stage.stage, data=data)])
    claimed = () if claim is None else await claim.claim(session, stage)
    if sum(row["stage_id"] == stage.stage_id for row in claimed) < stage.tasks_open:
        await bus.announce(session, [Announcement("task", stage.job_id)])
    return claimed


async def _close(session: Session, bus: Bus, job: JobRow, stage: StageRow, error: Row | None) -> None:
    """Close a stage at once that has no tasks, or that fails as it opens."""
    if error is not None:
        await _cancel_unstarted(session, stage)
    elif not stage.tasks_total:
        data = {"name": stage.name, "reason": "the fan-out returned no items"}
        await session.note([Note(type=STAGE_EMPTY, job_id=stage.job_id, stage=stage.stage, data=data)])
    await close_stage(session, bus, job, stage, error)


async def _cancel_unstarted(session: Session, stage: StageRow) -> None:
    """Cancel the tasks of a stage that fails as it opens: none of them has started, and none may."""
    if stage.tasks_open:
        why = {"reason": "the stage failed as it opened"}
        move = machine_of(TASK).fire(Subject("*", "queued"), CANCEL, data=why)
        await session.sweep(TASKS, move, "stage_id", stage.stage_id)
        await read_counters(session, [stage])

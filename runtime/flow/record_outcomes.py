"""record_outcomes: writes the outcomes of claimed tasks and takes the next steps, in one transaction.

Parents are locked first: jobs, then stages, each in the order of their ids. A batch may contain a task twice: with a
late outcome, and with the one under its next lease. So each outcome is checked by its own lease number, in order, and
has the effect that it would have alone.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ...statemachine.lifecycles import STALE_RESULT_REJECTED, TASK
from ...statemachine.machine import Move, Subject, machine_of
from ...statemachine.tables import TASKS
from ..bus.port import Bus
from ..store.reports import in_a_line, short
from ..store.rows import JobRow, StageRow
from ..store.session import Note, Row, Session
from .advance import CLOSE_CANCELLED, FAIL_FAST, advance, read_counters
from .outcome import FAIL, RETRY, Decision, Outcome, completion, decide

FAILING: Mapping[str, str] = {RETRY: "a task failed, and is tried again", FAIL: "a task failed"}


class Firing(NamedTuple):
    """An outcome that may win, and the move that it fires."""

    outcome: Outcome
    move: Move


async def record_outcomes(session: Session, bus: Bus, outcomes: Sequence[Outcome], worker: str) -> set[str]:
    """Write `outcomes`, each with its own decision; return the keys of the tasks that won.

    A late outcome, whose lease number is no longer the row's, overwrites nothing: it is kept as a
    stale_result_rejected event. So is a second outcome under one lease. Must run inside a transaction.
    """
    times = Counter(outcome.task.key for outcome in outcomes)
    machine = machine_of(TASK)
    firings: dict[str, Firing] = {}

    def fire(outcome: Outcome, decision: Decision) -> None:
        subject = Subject(outcome.task.key, "processing")
        firings[subject.key] = Firing(outcome, machine.fire(subject, decision.trigger, decision.values, decision.data))

    others: list[Outcome] = []
    for outcome in outcomes:
        # A completed task can be decided without its stage: before the locks, for which others may have to wait.
        if outcome.kind == "completed" and times[outcome.task.key] == 1:
            fire(outcome, completion(outcome, worker))
        else:
            others.append(outcome)
    jobs, stages = await lock_parents(session, outcomes)
    for outcome, decision in _decided(others, stages, await _lock_tasks(session, others), worker):
        fire(outcome, decision)
    won = await _write(session, firings, stages)
    rejected = [outcome for outcome in outcomes if not (outcome.found or _has_won(outcome, won))]
    await session.note(_stale(outcome, worker) for outcome in rejected if outcome.task.job_id in jobs)
    _log_failures(session, won)
    for stage_id in sorted(
        {firing.outcome.task.stage_id for firing in won.values() if firing.move.target in TASK.ended_states}
    ):
        stage = stages[stage_id]
        if await advance(session, bus, jobs[stage.job_id], stage) == CLOSE_CANCELLED:
            _log_cancelled(session, stage)
    return set(won)


async def lock_parents(session: Session, outcomes: Sequence[Outcome]) -> tuple[dict[str, JobRow], dict[int, StageRow]]:
    """The jobs and stages of these outcomes, locked in the fixed order. Those of a retired job are missing."""
    job_ids = sorted({outcome.task.job_id for outcome in outcomes})
    stage_ids = sorted({outcome.task.stage_id for outcome in outcomes})
    jobs = await session.send("flow/lock_jobs", {"job_ids": job_ids})
    stages = await session.fetch("flow/lock_stages", {"stage_ids": stage_ids})
    return (
        {row["job_id"]: JobRow.of(row) for row in await jobs.fetchall()},
        {row["stage_id"]: StageRow.of(row) for row in stages},
    )


async def _lock_tasks(session: Session, outcomes: Sequence[Outcome]) -> dict[str, Row]:
    """The tasks of these outcomes, locked, with their current state."""
    if not outcomes:
        return {}
    keys = sorted({outcome.task.key for outcome in outcomes})
    return {row["key"]: row for row in await session.fetch("flow/lock_tasks", {"task_ids": keys})}


def _decided(
    outcomes: Sequence[Outcome], stages: Mapping[int, StageRow], tasks: Mapping[str, Row], worker: str
) -> list[tuple[Outcome, Decision]]:
    """The outcomes that win, each with its move, as if they were written one after the other."""
    stages, tasks = dict(stages), dict(tasks)
    decided: list[tuple[Outcome, Decision]] = []
    for outcome in outcomes:
        task, stage = tasks.get(outcome.task.key), stages.get(outcome.task.stage_id)
        if task is None or stage is None or not _fits(outcome, task):
            continue
        del tasks[outcome.task.key]  # it moves: no other outcome can win after that
        decision = decide(outcome, stage, worker)
        decided.append((outcome, decision))
        if decision.trigger == FAIL and stage.definition.policy == FAIL_FAST and stage.stop_reason is None:
            stages[stage.stage_id] = replace(stage, stop_reason=FAIL_FAST)
    return decided


def _fits(outcome: Outcome, task: Row) -> bool:
    """Whether the task still has the lease of this outcome; for `expired`, whether it was not renewed since."""
    under_lease = task["leased"] and task["lease_number"] == outcome.task.lease_number
    return under_lease and (outcome.kind != "expired" or task["expired"])


async def _write(session: Session, firings: Mapping[str, Firing], stages: Mapping[int, StageRow]) -> dict[str, Firing]:
    """Write the moves, read the counters of the database, and return the outcomes that won."""
    by_trigger: defaultdict[str, list[Move]] = defaultdict(list)
    for firing in firings.values():
        by_trigger[firing.move.trigger].append(firing.move)
    sent = [await session.send_moves(TASKS, moves) for moves in by_trigger.values()]
    if sent:
        await read_counters(session, list(stages.values()))
    return {row["key"]: firings[row["key"]] for cursor in sent for row in await cursor.fetchall()}


def _has_won(outcome: Outcome, won: Mapping[str, Firing]) -> bool:
    firing = won.get(outcome.task.key)
    return firing is not None and firing.outcome is outcome


def _log_failures(session: Session, won: Mapping[str, Firing]) -> None:
    """Log the attempts that failed."""
    for outcome, move in won.values():
        if move.trigger not in FAILING or move.event is None:
            continue
        task, data = outcome.task, move.event.data
        session.report(
            "warning",
            FAILING[move.trigger],
            job=short(task.job_id),
            task=task.task_number,
            type=task.task_type,
            attempt=f"{task.attempt} of {task.max_attempts}",
            **({"delay_s": data["delay_s"]} if "delay_s" in data else {}),
            error=in_a_line(data.get("error")),
        )


def _log_cancelled(session: Session, stage: StageRow) -> None:
    """Log that a stage ended cancelled, and its job with it. `end_job` logs a job that fails."""
    reason = {"reason": stage.stop_why} if stage.stop_why else {}
    session.report("error", "a job was cancelled", job=short(stage.job_id), stage=stage.name, **reason)


def _stale(outcome: Outcome, worker: str) -> Note:
    task = outcome.task
    return Note(
        type=STALE_RESULT_REJECTED,
        job_id=task.job_id,
        task_id=task.key,
        stage=task.stage,
        attempt=task.attempt,
        lease_number=task.lease_number,
        data={"outcome": outcome.kind, "worker": worker, "duration_ms": outcome.duration_ms, "error": outcome.error},
    )

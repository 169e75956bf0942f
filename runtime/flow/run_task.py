"""run_task: what became of claimed tasks is written, counted, and followed up, in one transaction.

Parents are locked first: jobs, then stages, each in the order of their ids. Under those locks the counters that were
read are the counters that are written, so that every decision can be made here and written once.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...statemachine.lifecycles import TASK
from ...statemachine.machine import Move, Subject, machine_of
from ...statemachine.tables import TASKS
from ..bus.port import Bus
from ..store.reports import in_a_line, short
from ..store.rows import StageRow
from ..store.session import Note, Row, Session
from .advance import advance, closing
from .outcome import Decision, Outcome, completion, decide

COUNTED = {"completed": "tasks_completed", "failed": "tasks_failed", "cancelled": "tasks_cancelled"}
FAILING = {"retry": "a task failed, and is tried again", "fail": "a task failed"}


async def settle(session: Session, bus: Bus, outcomes: Sequence[Outcome], worker: str) -> set[str]:
    """Write `outcomes`, each with its own verdict; return the keys of the tasks that won.

    A late outcome, whose lease number is no longer the row's, overwrites nothing: it is kept as a
    stale_result_rejected event. Must run inside a transaction.
    """
    subjects = [Subject(outcome.task.key, "processing") for outcome in outcomes]
    machine = machine_of(TASK)
    by_trigger: defaultdict[str, list[Move]] = defaultdict(list)

    def fire(subject: Subject, decision: Decision) -> None:
        by_trigger[decision.trigger].append(machine.fire(subject, decision.trigger, decision.values, decision.data))

    with machine.taken_back(subjects):
        others: list[tuple[Outcome, Subject]] = []
        for outcome, subject in zip(outcomes, subjects, strict=True):
            # What needs no look at the stage is done before others have to wait for its lock.
            if outcome.kind == "completed":
                fire(subject, completion(outcome, worker))
            else:
                others.append((outcome, subject))
        jobs, stages = await lock_parents(session, outcomes)
        renewed = await _renewed(session, others)
        outcomes = [outcome for outcome in outcomes if outcome.task.key not in renewed]
        for outcome, subject in others:
            if outcome.task.key not in renewed:
                fire(subject, decide(outcome, stages[outcome.task.stage_id], worker))
        won: dict[str, Move] = {}
        for moves in by_trigger.values():
            keys = await session.apply(TASKS, moves)
            won |= {move.key: move for move in moves if move.key in keys}
        await session.note(
            _stale(outcome, worker) for outcome in outcomes if outcome.task.key not in won and not outcome.found
        )
        _report(session, outcomes, won)
        ended = _count(outcomes, won)
        for stage_id in sorted(ended):
            stage = stages[stage_id]
            await advance(session, bus, jobs[stage.job_id], stage, ended[stage_id])
            _report_cancelled(session, stage)
    return set(won)


async def lock_parents(session: Session, outcomes: Sequence[Outcome]) -> tuple[dict[str, Row], dict[int, StageRow]]:
    """The jobs and stages of these outcomes, locked in the one order."""
    job_ids = sorted({outcome.task.job_id for outcome in outcomes})
    stage_ids = sorted({outcome.task.stage_id for outcome in outcomes})
    jobs = await session.ask("lock_jobs", {"job_ids": job_ids})
    stages = await session.fetch("lock_stages", {"stage_ids": stage_ids})
    return {job["job_id"]: job for job in await jobs.rows()}, {row["stage_id"]: StageRow.of(row) for row in stages}


async def _renewed(session: Session, outcomes: Sequence[tuple[Outcome, Subject]]) -> set[str]:
    """The keys of the expired ones whose lease was renewed after all; the rest of those are locked."""
    expired = [outcome.task.key for outcome, _ in outcomes if outcome.kind == "expired"]
    if not expired:
        return set()
    still = {row["key"] for row in await session.fetch("lock_expired_tasks", {"task_ids": expired})}
    return set(expired) - still


def _count(outcomes: Sequence[Outcome], won: dict[str, Move]) -> dict[int, Counter[str]]:
    """For each stage, how many of its tasks ended, by the counter they count in."""
    ended: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        move = won.get(outcome.task.key)
        if move is not None and move.target in COUNTED:
            ended[outcome.task.stage_id][COUNTED[move.target]] += 1
    return ended


def _report(session: Session, outcomes: Sequence[Outcome], won: dict[str, Move]) -> None:
    """Say which attempts failed. Those that completed are not looked at any closer."""
    for outcome in outcomes:
        if outcome.kind == "completed":
            continue
        move = won.get(outcome.task.key)
        if move is None or move.trigger not in FAILING or move.event is None:
            continue
        task, told = outcome.task, move.event.data
        session.report(
            "warning",
            FAILING[move.trigger],
            job=short(task.job_id),
            task=task.task_number,
            type=task.task_type,
            attempt=f"{task.attempt} of {task.max_attempts}",
            **({"delay_s": told["delay_s"]} if "delay_s" in told else {}),
            error=in_a_line(told.get("error")),
        )


def _report_cancelled(session: Session, stage: StageRow) -> None:
    """Say that a stage ended cancelled, and its job with it. A job that fails says so itself."""
    if not stage.still_open and closing(stage, None) == "cancel":
        reason = {"reason": stage.stop_why} if stage.stop_why else {}
        session.report("error", "a job was cancelled", job=short(stage.job_id), stage=stage.name, **reason)


def _stale(outcome: Outcome, worker: str) -> Note:
    task = outcome.task
    return Note(
        type="stale_result_rejected",
        job_id=task.job_id,
        task_id=task.key,
        stage=task.stage,
        attempt=task.attempt,
        lease_number=task.lease_number,
        data={"outcome": outcome.kind, "worker": worker, "duration_ms": outcome.duration_ms, "error": outcome.error},
    )

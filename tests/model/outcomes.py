"""Outcomes of claimed tasks: each is decided, then all are written and counted in one transaction.

A batch is not a set of distinct tasks. A worker whose lease ran out may have claimed its own task again while the
handler of the first lease still runs: then two outcomes of one task meet. So each is decided by its own lease number,
after those before it. Without that rule ("distinct") a batch does what the runtime once did (F48): it keeps what was
won by the key of the task, and so counts the late outcome with the one that won.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tests.model.draft import Draft, ViolationError
from tests.model.flow import COUNTER, advance
from tests.model.state import StageRow, TaskRow


class Arrival(NamedTuple):
    """An outcome as it comes in: of which task, and what. `current` says that it names the row's own lease number.

    `worker` is who has been busy with the task until now; -1 stands for a reconciler, or somebody who comes too late.
    """

    stage: int
    task: int
    how: str
    current: bool = True
    worker: int = -1
    seen: tuple[int, ...] | None = None

    @property
    def key(self) -> tuple[int, int]:
        """The key of its task."""
        return self.stage, self.task


Decisions: TypeAlias = list[tuple[Arrival, str]]


def settle(draft: Draft, *arrivals: Arrival) -> None:
    """Write outcomes, count them, and close the stages whose last tasks they were; a late outcome changes nothing."""
    if draft.world.keeps("distinct"):
        decisions = _decided(draft, arrivals)
        counted = [arrival for arrival, _ in decisions]
    else:
        decisions, counted = _decided_by_key(draft, arrivals)
    if not decisions:
        return
    won: dict[tuple[int, int], str] = {}
    for arrival, trigger in sorted(decisions, key=_written_last):
        if arrival.key not in won:
            won[arrival.key] = _written(draft, arrival, trigger)
    ended: dict[int, dict[str, int]] = {}
    for arrival in counted:
        status = won.get(arrival.key)
        if status in COUNTER:
            of_stage = ended.setdefault(arrival.stage, {})
            of_stage[status] = of_stage.get(status, 0) + 1
    if draft.world.keeps("advance"):
        for number in sorted(ended):
            advance(draft, number, ended[number], arrivals[0].seen)


def _written_last(decision: tuple[Arrival, str]) -> bool:
    """Completions are written before all else, for they need no look at the stage."""
    return decision[1] != "complete"


def _decided(draft: Draft, arrivals: Sequence[Arrival]) -> Decisions:
    """The first outcome of a task that fits its row wins; what fails stops the stage for those that come after it."""
    decisions: Decisions = []
    stages: dict[int, StageRow] = {}
    for arrival in arrivals:
        if not _fits(draft, arrival) or any(one.key == arrival.key for one, _ in decisions):
            continue
        stage = stages.get(arrival.stage, draft.stages[arrival.stage])
        trigger = decide(draft, draft.task(*arrival.key), stage, arrival.how)
        decisions.append((arrival, trigger))
        if trigger == "fail" and draft.world.policy == "fail_fast" and not stage.stop:
            stages[arrival.stage] = stage._replace(stop="fail_fast")
    return decisions


def _decided_by_key(draft: Draft, arrivals: Sequence[Arrival]) -> tuple[Decisions, list[Arrival]]:
    """As it must not be done: a renewed lease, and what was won, are known by the task alone.

    Returns the decisions, and whatever is counted where its task has been won by anybody.
    """
    again = draft.world.keeps("rescue again")
    renewed = {one.key for one in arrivals if one.how == "expired" and again and not draft.task(*one.key).expired}
    fitting = [one for one in arrivals if (one.how == "completed" or one.key not in renewed) and _fits(draft, one)]
    decisions = [(one, decide(draft, draft.task(*one.key), draft.stages[one.stage], one.how)) for one in fitting]
    return decisions, [one for one in arrivals if one.key not in renewed]


def _fits(draft: Draft, arrival: Arrival) -> bool:
    """Whether an outcome is one of the lease under which its task is being run."""
    world, row = draft.world, draft.tasks[arrival.stage][arrival.task]
    if arrival.how == "expired" and world.keeps("rescue again") and not row.expired:
        return False
    if (row.status != "processing" and world.keeps("source")) or not (arrival.current or not world.keeps("fence")):
        return False
    if row.status != "processing":
        raise ViolationError("recorded twice", f"{arrival.how} was written over {row.status}")
    if not arrival.current:
        raise ViolationError("late outcome", f"{arrival.how} was written under a lease that is another's")
    if arrival.how == "expired" and not row.expired:
        raise ViolationError("live lease", "a task was taken from a worker whose lease had not run out")
    return True


def _written(draft: Draft, arrival: Arrival, trigger: str) -> str:
    """Move the task, and return the state that it comes to."""
    row = draft.task(*arrival.key)
    status = draft.fired("task", row.status, trigger)
    attempt, rescues = row.attempt + (trigger == "retry"), row.rescues + (trigger == "rescue")
    draft.put_task(*arrival.key, TaskRow(status, attempt, row.max_attempts, rescues))
    return status


def decide(draft: Draft, row: TaskRow, stage: StageRow, outcome: str) -> str:
    """The trigger that an outcome fires."""
    world = draft.world
    if outcome == "completed":
        return "complete"
    if outcome == "overdue":
        outcome = "failed" if world.timeouts else "cancelled"
    if outcome == "failed":
        left = row.attempt < row.max_attempts or not world.keeps("max attempts")
        return "retry" if left and not stage.stop else "fail"
    if outcome == "hopeless":
        return "fail"
    if outcome == "cancelled" or stage.stop:
        return "cancel"
    if outcome == "released":
        return "release"
    return "rescue" if row.rescues < world.max_rescues or not world.keeps("max rescues") else "fail"

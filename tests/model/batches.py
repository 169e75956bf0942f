"""Batches of two outcomes that can meet in one transaction, in every state: of one task, or of two tasks of a stage.

Each outcome is that of the worker that holds the task, that of a reconciler that finds its lease expired or its time
over, or a late one under an earlier lease. A late one is tried with each of the others, in both orders, for any holder
of the task: it may be the same worker, whose first handler still runs. Two late ones, or a late one beside the outcome
of another task, do nothing that each of them alone does not.

What a batch leads to depends on the stage with its counters, on the two tasks and whether they are held, and on how
many tasks are queued, which a failure would cancel: that is its `Sight`. What else there is in a state (messages,
callbacks, other stages, the attempts of other tasks) changes nothing of it, so each sight is tried in the first state
that has it.
"""

from collections.abc import Iterator
from typing import TypeAlias

from tests.model.actions import Action
from tests.model.flow import open_stage
from tests.model.outcomes import Arrival
from tests.model.state import StageRow, State, TaskRow, World, is_over

LATE = ("completed", "expired", "failed")
"""What has its own way through a batch: what needs no look at its stage, what may have been renewed, and the rest."""

Look: TypeAlias = tuple[TaskRow, bool]
Sight: TypeAlias = tuple[StageRow, int, Look, Look | None]


def batches(world: World, state: State, tried: set[Sight]) -> Iterator[Action]:
    """Every batch of two in `state` whose sight is not among those that have been tried. Adds to `tried`."""
    number = open_stage(state)
    if number is None or not (world.keeps("advance") and world.keeps("locks")):
        return
    held = _held(state, number)
    rows = state.tasks[number]
    queued = sum(row.status == "queued" for row in rows)
    looks = [(row, index in held) for index, row in enumerate(rows)]
    for one, look in enumerate(looks):
        for other, beside in enumerate(looks):
            seen = (state.stages[number], queued, look, None if one == other else beside)
            if seen not in tried:
                tried.add(seen)
                yield from _pairs(world, state, (number, one), (number, other))


def _pairs(world: World, state: State, one: tuple[int, int], other: tuple[int, int]) -> Iterator[Action]:
    first, second = list(_current(world, state, *one)), list(_current(world, state, *other))
    late = [Arrival(*one, how, current=False) for how in LATE] if one == other else []
    for arrival in second:
        for before in (*first, *late):
            yield _batch(before, arrival)
        for behind in late:
            yield _batch(arrival, behind)


def _current(world: World, state: State, stage: int, task: int) -> Iterator[Arrival]:
    if state.tasks[stage][task].status != "processing":
        return
    at = _held(state, stage).get(task)
    if at is not None:
        stopped = ("cancelled",) if state.stages[stage].stop else ()
        for how in ("completed", "failed", "hopeless", "released", *stopped):
            yield Arrival(stage, task, how, worker=at)
    yield Arrival(stage, task, "expired")
    if is_over(world, state, stage, task):
        yield Arrival(stage, task, "overdue")


def _held(state: State, stage: int) -> dict[int, int]:
    """The tasks of a stage that somebody is busy with, and who."""
    return {one.task: at for at, one in enumerate(state.workers) if one and one.kind == "task" and one.stage == stage}


def _batch(*arrivals: Arrival) -> Action:
    how = ", ".join(f"{'' if one.current else 'late '}{one.how} {one.stage}.{one.task}" for one in arrivals)
    return Action("settle batch", how=how, fair=False, batch=arrivals)

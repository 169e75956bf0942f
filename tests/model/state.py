"""What the model remembers of a job: its rows, and who is busy with what.

Times are left out: a lease has run out or it has not, and so has the time of a job, of an attempt, of a worker that was
asked to stop. Lease numbers are left out but for the one thing that counts: whether the number that somebody holds is
still that of the row (`current`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from coremachine.statemachine.lifecycle import Lifecycle
from coremachine.statemachine.lifecycles import LIFECYCLES, TASK
from tests.model.rules import RULES

COUNTED = ("completed", "failed", "cancelled")
OPEN_TASK = frozenset(state.name for state in TASK.states if not state.terminal)


class JobRow(NamedTuple):
    """`message` is None, due, held (by somebody, under a lease) or late (held, and the lease has run out).

    `deadline` is None, ahead or past.
    """

    status: str
    message: str | None
    deadline: str | None = None


class StageRow(NamedTuple):
    """A stage with its counters, and how often it was opened less how often it was closed.

    `waited` is whether the workers that were asked to stop have had their time to do so.
    """

    status: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    stop: str | None = None
    waited: bool = False
    openings: int = 0


class TaskRow(NamedTuple):
    """A task or a callback. `expired` is about its lease, `over` about the time that its attempt has."""

    status: str
    attempt: int
    max_attempts: int
    rescues: int = 0
    expired: bool = False
    over: bool = False


class Worker(NamedTuple):
    """What a worker is busy with, under a lease that is its own: a task (by stage and index), a message or a callback.

    `plan` is the step that it saw when it looked at the job. `seen` are counters read too early, where the rule was
    dropped that forbids it. `current` is false only for those that come too late, which are not part of a state.
    """

    kind: str
    current: bool = True
    plan: str | None = None
    stage: int = -1
    task: int = -1
    seen: tuple[int, ...] | None = None


class State(NamedTuple):
    """Everything at one moment, between two transactions. `noticed` is false where a notification was lost."""

    job: JobRow
    stages: tuple[StageRow, ...]
    tasks: tuple[tuple[TaskRow, ...], ...]
    workers: tuple[Worker | None, ...]
    callback: TaskRow | None
    cancels: int
    resumes: int
    noticed: bool


@dataclass(frozen=True)
class World:
    """What is explored: a size, a policy, bounds, the declaration, and the rules that are dropped.

    `deadline` gives the job one, `timeouts` each attempt. Where handlers may be `stuck`, none need ever end.
    With `batches` two outcomes may come in one transaction. `beyond` continues from states in which something is wrong.
    """

    stages: int = 2
    tasks: int = 3
    workers: int = 2
    policy: str = "fail_fast"
    max_attempts: int = 2
    max_rescues: int = 1
    cancels: int = 0
    resumes: int = 0
    callback: bool = True
    finalizer_fails: bool = False
    losses: bool = True
    deadline: bool = False
    timeouts: bool = False
    stuck: bool = False
    redrives: bool = True
    beyond: bool = False
    batches: bool = False
    lifecycles: tuple[Lifecycle, ...] = LIFECYCLES
    dropped: frozenset[str] = frozenset()
    declared: Mapping[str, Mapping[tuple[str, str], str]] = field(init=False)
    ends: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        unknown = self.dropped - set(RULES)
        assert not unknown, f"no such rules: {unknown}"
        edges = {
            one.name: {(edge.source, edge.transition.trigger): edge.target for edge in one.edges}
            for one in self.lifecycles
        }
        ends = {one.name: frozenset(s.name for s in one.states if s.terminal) for one in self.lifecycles}
        object.__setattr__(self, "declared", edges)
        object.__setattr__(self, "ends", ends)

    def keeps(self, rule: str) -> bool:
        """Whether a rule of the flow holds here."""
        return rule not in self.dropped

    def lifecycle(self, name: str) -> Lifecycle:
        """The lifecycle called `name`."""
        return next(one for one in self.lifecycles if one.name == name)

    def initial(self, name: str) -> str:
        """The initial state of this lifecycle."""
        return self.lifecycle(name).initial.name

    @property
    def time(self) -> str | None:
        """The deadline of a job that was submitted or resumed a moment ago."""
        return "ahead" if self.deadline else None

    def start(self) -> State:
        """A job that was submitted a moment ago."""
        return State(
            job=JobRow(self.initial("job"), "due", self.time),
            stages=tuple(StageRow(self.initial("stage")) for _ in range(self.stages)),
            tasks=((),) * self.stages,
            workers=(None,) * self.workers,
            callback=None,
            cancels=self.cancels,
            resumes=self.resumes,
            noticed=True,
        )


def still_open(stage: StageRow) -> int:
    """Tasks of a stage that its counters do not count as ended."""
    return stage.total - stage.completed - stage.failed - stage.cancelled


def is_over(world: World, state: State, stage: int, task: int) -> bool:
    """Whether a task is past its time: that of its attempt, or without one that in which it had to stop."""
    row = state.tasks[stage][task]
    return row.status == "processing" and (row.over if world.timeouts else state.stages[stage].waited)


def holders(state: State, stage: int, task: int) -> Iterator[Worker]:
    """The worker that is busy with a task, if there is one."""
    return (one for one in state.workers if one and one.kind == "task" and (one.stage, one.task) == (stage, task))


def canonical(state: State) -> State:
    """The same state with the tasks of a stage, and workers, in a canonical order, and without what cannot matter.

    The flow treats the tasks of a stage alike, and workers too: what it does never depends on an index but to name a
    row. So states that differ by a renaming have the same future up to that renaming, and one of them stands for all.
    A task's sort key holds all that is known about it, its holder included: tasks with equal keys are equal. Attempts
    and rescues of a task that will not run again are forgotten.
    """
    tasks: list[tuple[TaskRow, ...]] = []
    renamed: dict[tuple[int, int], int] = {}
    for number, rows in enumerate(state.tasks):
        kept = [_kept(row, state) for row in rows]
        held = [[one.seen or () for one in holders(state, number, index)] for index in range(len(rows))]
        keys = list(zip(kept, held, strict=True))
        order = sorted(range(len(rows)), key=keys.__getitem__)
        renamed |= {(number, old): new for new, old in enumerate(order)}
        tasks.append(tuple(kept[index] for index in order))
    workers = [
        one._replace(task=renamed[one.stage, one.task]) if one and one.kind == "task" else one for one in state.workers
    ]
    workers.sort(key=lambda one: () if one is None else (one.kind, one.stage, one.task, one.plan or "", one.seen or ()))
    return state._replace(tasks=tuple(tasks), workers=tuple(workers))


def _kept(row: TaskRow, state: State) -> TaskRow:
    again = state.resumes and row.status != "completed"
    return row if row.status in OPEN_TASK or again else TaskRow(row.status, 1, row.max_attempts)

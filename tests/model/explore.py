"""Breadth first through every state that can be reached, with what is wrong in any of them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.actions import Action, actions
from tests.model.apply import after, one_by_one
from tests.model.batches import Sight, batches
from tests.model.draft import ViolationError
from tests.model.invariants import broken
from tests.model.state import State, World, canonical

DIFFERS = "batch differs from fold"


@dataclass
class Report:
    """The result of an exploration: for each kind of violation the shortest way to it."""

    states: int = 0
    steps: int = 0
    batches: int = 0
    ends: int = 0
    complete: bool = True
    found: dict[str, str] = field(default_factory=dict[str, str])
    done: set[str] = field(default_factory=set[str])
    """The names of the actions that changed something, with how."""

    def __str__(self) -> str:
        lines = [f"{self.states} states, {self.steps} steps, {self.batches} batches, {self.ends} states at an end"]
        if not self.complete:
            lines[0] += " (given up: there are more)"
        return "\n".join([*lines, *(f"{kind}: {what}" for kind, what in self.found.items())])


class Exploration:
    """One run over one world. `limit` bounds the number of states, for worlds that a dropped rule makes endless."""

    def __init__(self, world: World, limit: int | None = None, *, until: str | None = None) -> None:
        self.world = world
        self.report = Report()
        self._limit = limit
        self._until = until
        self._number: dict[State, int] = {}
        self._came: list[tuple[int, Action] | None] = []
        self._fair_into: list[list[int]] = []
        self._goals: list[int] = []
        self._tried: set[Sight] = set()

    def run(self) -> Report:
        """Explore, and check that each state can reach its end by fair actions alone."""
        start = self.world.start()
        ahead = deque([start])
        self._add(start, None)
        while ahead and not self._stopped():
            state = ahead.popleft()
            ahead.extend(self._from(state))
        self.report.states = len(self._number)
        self.report.ends = len(self._goals)
        self.report.complete = not ahead
        if self.report.complete:
            self._check_progress()
        return self.report

    def _stopped(self) -> bool:
        if self._until is not None and (self.report.found if self._until == "*" else self._until in self.report.found):
            return True
        return self._limit is not None and len(self._number) >= self._limit

    def _from(self, state: State) -> Iterator[State]:
        here = self._number[state]
        wrong = False
        for kind, what in broken(self.world, state):
            self._record(kind, what, here)
            wrong = True
        if wrong and not self.world.beyond:
            return
        for action in actions(self.world, state):
            self.report.steps += 1
            try:
                reached = after(self.world, state, action)
            except ViolationError as violation:
                self._record(violation.kind, f"{violation} by {_description(action)}", here)
                continue
            if reached == state:
                continue
            self.report.done.add(f"{action.name} {action.how}".strip())
            reached = canonical(reached)
            known = self._number.get(reached)
            if known is None:
                known = self._add(reached, (here, action))
                yield reached
            if action.fair and known != here:
                self._fair_into[known].append(here)
        if self.world.batches:
            yield from self._from_batches(state, here)

    def _from_batches(self, state: State, here: int) -> Iterator[State]:
        """What batches lead to where it is not what their outcomes lead to one by one: there other actions have led."""
        for batch in batches(self.world, state, self._tried):
            self.report.batches += 1
            try:
                folded = one_by_one(self.world, state, batch)
                reached = after(self.world, state, batch)
            except ViolationError as violation:
                self._record(violation.kind, f"{violation} by {_description(batch)}", here)
                continue
            if reached == folded:
                continue
            self._record(DIFFERS, f"{_description(batch)} leads elsewhere than one by one", here)
            reached = canonical(reached)
            if reached not in self._number:
                self._add(reached, (here, batch))
                yield reached

    def _add(self, state: State, came: tuple[int, Action] | None) -> int:
        number = self._number[state] = len(self._came)
        self._came.append(came)
        self._fair_into.append([])
        ended = state.job.status in self.world.ends["job"]
        if ended and (state.callback is None or state.callback.status in self.world.ends["callback"]):
            self._goals.append(number)
        return number

    def _check_progress(self) -> None:
        ending = set(self._goals)
        ahead = deque(self._goals)
        while ahead:
            for before in self._fair_into[ahead.popleft()]:
                if before not in ending:
                    ending.add(before)
                    ahead.append(before)
        for number in range(len(self._came)):
            if number not in ending:
                self._record("no progress", "no way to an end that needs no luck", number)
                return

    def _record(self, kind: str, what: str, number: int) -> None:
        if kind not in self.report.found:
            self.report.found[kind] = f"{what}\n    after {', '.join(self._way(number)) or 'nothing'}"

    def _way(self, number: int) -> list[str]:
        way: list[str] = []
        while (came := self._came[number]) is not None:
            number, action = came
            way.append(_description(action))
        return way[::-1]


def explore(world: World, limit: int | None = None, *, until: str | None = None) -> Report:
    """Explore `world`: to its end, up to `limit` states, or until a violation of that kind (`*`: of any) is found."""
    return Exploration(world, limit, until=until).run()


def _description(action: Action) -> str:
    where = f" {action.stage}.{action.task}" if action.task >= 0 else ""
    who = f" by {action.worker}" if action.worker >= 0 else ""
    return f"{action.name}{where}{who}" + (f" ({action.how})" if action.how else "")

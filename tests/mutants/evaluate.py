"""Evaluates mutants: each is created in a transaction that is rolled back, and some probe must fail in it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import log

import psycopg

from coremachine.statemachine.tables import SCHEMA
from tests.mutants.attempt import ATTEMPT, FIRST_WRONG, Probe, first_wrong
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.of_ddl import Mutant
from tests.mutants.of_moves import Broken, Statement, statements
from tests.mutants.of_queues import BrokenQueue, QueueStatement, queues
from tests.mutants.probes import of_record
from tests.mutants.probes_of_moves import KEEPING, connect, of_statement
from tests.mutants.probes_of_queues import of_queue
from tests.mutants.rules_of_changes import of_changes, of_repairing
from tests.mutants.rules_of_counting import of_counting
from tests.mutants.rules_of_tables import of_table
from tests.mutants.rules_of_the_log import SETTING, of_kept, of_log, of_retiring, of_roles, of_stamps
from tests.mutants.rules_of_upkeep import of_upkeep
from tests.mutants.rules_of_views import of_views
from tests.mutants.waiting_for_locks import Bystanders

Connection = psycopg.Connection[tuple[int, str]]
FEW = 30
"""How many probes are sent first: usually one of them fails, and the others need not be sent."""
VACUUM = b"VACUUM ANALYZE app.jobs, app.stages, app.tasks, app.callbacks, app.job_events"
BATCH = 20
"""How many mutants are evaluated before the dead rows that they leave behind are removed."""


@dataclass
class Evaluation:
    """How many mutants there were, by kind, and those that no probe noticed."""

    made: Counter[str] = field(default_factory=Counter[str])
    survivors: list[str] = field(default_factory=list[str])
    killers: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.made.items()))
        return "\n".join([f"{self.made.total()} mutants ({kinds}), {len(self.survivors)} survive", *self.survivors])


def probes_of(fixture: FixtureRows) -> Mapping[str, Sequence[Probe]]:
    """Every probe, by what it is about."""
    made = {record.machine: [*of_record(record, fixture), *of_table(record, fixture)] for record in SCHEMA.records}
    changes = {f"{record.machine} changes": list(of_changes(record, fixture)) for record in SCHEMA.records}
    return (
        made
        | changes
        | {
            "log": list(of_log(fixture)),
            "kept": list(of_kept()),
            "stamps": list(of_stamps(fixture)),
            "roles": list(of_roles(fixture)),
            "retiring": list(of_retiring(fixture)),
            "repairing": list(of_repairing(fixture)),
            "views": list(of_views(fixture)),
            "counting": list(of_counting(fixture)),
            "upkeep": list(of_upkeep(fixture)),
        }
    )


def set_up(connection: Connection, *more: str) -> None:
    """What the probes need, in the transaction that is open."""
    connect(connection)
    for statement in ("SET LOCAL jit = off", ATTEMPT, FIRST_WRONG, *SETTING, *more):
        connection.execute(statement.encode())


def evaluate(connection: Connection, mutants: Iterable[Mutant], probes: Mapping[str, Sequence[Probe]]) -> Evaluation:
    """Evaluate each mutant. Nothing of it is kept. The server must be sound: see `unsound`."""
    evaluation, every = Evaluation(), list(mutants)
    for start in range(0, len(every), BATCH):
        connection.execute(VACUUM)
        with connection.transaction(force_rollback=True):
            set_up(connection)
            for mutant in every[start : start + BATCH]:
                _evaluate(connection, mutant, probes, evaluation)
    return evaluation


def _evaluate(
    connection: Connection, mutant: Mutant, probes: Mapping[str, Sequence[Probe]], evaluation: Evaluation
) -> None:
    evaluation.made[mutant.name.split()[0].split(".")[0].rstrip(":")] += 1
    with connection.transaction(force_rollback=True):
        for statement in mutant.statements:
            connection.execute(statement.encode())
        wrong = _first_wrong(connection, mutant, probes)
    if wrong is None:
        evaluation.survivors.append(mutant.name)
    else:
        evaluation.killers[mutant.name] = wrong


def evaluate_statements(
    connection: Connection, bystanders: Bystanders, fixture: FixtureRows, mutants: Iterable[Broken | BrokenQueue]
) -> Evaluation:
    """The same for mutants of statements, which need nothing made."""
    evaluation, every = Evaluation(), list(mutants)
    for start in range(0, len(every), BATCH):
        connection.execute(VACUUM)
        with connection.transaction(force_rollback=True):
            set_up(connection, *KEEPING)
            for mutant in every[start : start + BATCH]:
                of = "queue statement" if isinstance(mutant, BrokenQueue) else mutant.statement.kind
                evaluation.made[f"of {of}s"] += 1
                wrong = statement_wrong(connection, bystanders, fixture, mutant.statement, locks=mutant.lock)
                if wrong is None:
                    evaluation.survivors.append(mutant.name)
                else:
                    evaluation.killers[mutant.name] = wrong
    return evaluation


def statement_wrong(
    connection: Connection,
    bystanders: Bystanders,
    fixture: FixtureRows,
    statement: Statement | QueueStatement,
    *,
    locks: bool,
) -> str | None:
    """What is wrong with a statement: with how it waits, where that is looked at, or with what it does."""
    if locks and (wrong := bystanders.wrong(statement, fixture)) is not None:
        return wrong
    if isinstance(statement, QueueStatement):
        return first_wrong(connection, of_queue(statement, fixture))
    return first_wrong(connection, of_statement(statement, fixture))


def unsound_statements(connection: Connection, bystanders: Bystanders, fixture: FixtureRows) -> list[str]:
    """What is wrong with the statements as they are generated."""
    with connection.transaction(force_rollback=True):
        set_up(connection, *KEEPING)
        given: list[Statement | QueueStatement] = [*statements(), *queues()]
        every = (statement_wrong(connection, bystanders, fixture, one, locks=True) for one in given)
        return [wrong for wrong in every if wrong is not None]


def unsound(connection: Connection, probes: Mapping[str, Sequence[Probe]]) -> list[str]:
    """What is wrong where nothing was taken out."""
    with connection.transaction(force_rollback=True):
        set_up(connection)
        return [wrong for some in probes.values() if (wrong := first_wrong(connection, some)) is not None]


def _first_wrong(connection: Connection, mutant: Mutant, probes: Mapping[str, Sequence[Probe]]) -> str | None:
    for some in _in_turn(mutant, probes):
        wrong = first_wrong(connection, some) if some else None
        if wrong is not None:
            return wrong
    return None


def _in_turn(mutant: Mutant, probes: Mapping[str, Sequence[Probe]]) -> Iterator[Sequence[Probe]]:
    """The mutant's own probes, then a few of each kind, then all others."""
    own = _likely(mutant, probes.get(mutant.about, ()))
    yield from (own[:FEW], own[FEW:])
    others = [_likely(mutant, some) for about, some in probes.items() if about != mutant.about]
    yield from (one[:FEW] for one in others)
    yield from (one[FEW:] for one in others)


def _likely(mutant: Mutant, probes: Sequence[Probe]) -> Sequence[Probe]:
    """Those probes first that have most words in common with the mutant: they are most likely to notice it."""
    words, rare = _words(f"{mutant.about} {mutant.name}"), _rareness(tuple(probes))
    return sorted(probes, key=lambda probe: -sum(rare[word] for word in words & _words_of(probe)))


@cache
def _rareness(probes: tuple[Probe, ...]) -> Mapping[str, float]:
    """How much each word says: the less, the more probes have it."""
    found = Counter(word for probe in probes for word in _words_of(probe))
    return {word: log(len(probes) / number) for word, number in found.items()}


def _words_of(probe: Probe) -> frozenset[str]:
    return _words(f"{probe.about} {probe.statement}")


@cache
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w{2,}", text))

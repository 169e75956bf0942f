"""Every edge, guard, tie, lock and privilege that is generated is needed: without it, something behaves otherwise.

A test run evaluates a sample, each sixth; COREMACHINE_MUTANTS=all, or the
program `python -m tests.mutants`, evaluates every mutant there is.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from uuid import uuid4

import psycopg
import pytest

from tests.databases import Created, url_of
from tests.mutants.equivalent import EQUIVALENT, is_equivalent
from tests.mutants.evaluate import Connection, evaluate, evaluate_statements, probes_of, unsound, unsound_statements
from tests.mutants.fixture_rows import FixtureRows, create_rows
from tests.mutants.of_ddl import Mutant, of_ddl
from tests.mutants.of_moves import Broken, broken, statements
from tests.mutants.of_queues import BrokenQueue, broken_queue, queues
from tests.mutants.waiting_for_locks import Bystanders

T = TypeVar("T")
pytestmark = pytest.mark.timeout(1200)
EVERY = 1 if os.environ.get("COREMACHINE_MUTANTS") == "all" else 6


@dataclass(frozen=True)
class Court:
    """A database with rows in every state, and who is connected to it."""

    connection: Connection
    bystanders: Bystanders
    fixture: FixtureRows


@pytest.fixture(scope="module")
def court(server: str, template: str) -> Iterator[Court]:
    name = f"mutants_{uuid4().hex[:12]}"
    with Created(server, name, template):
        url = url_of(server, name)
        fixture = asyncio.run(create_rows(url))
        with psycopg.connect(url, autocommit=True) as connection, Bystanders(url) as bystanders:
            yield Court(connection, bystanders, fixture)


@cache
def of_schema() -> Sequence[Mutant]:
    """Every mutant of the schema."""
    return list(of_ddl())


@cache
def of_statements() -> Sequence[Broken | BrokenQueue]:
    """Every mutant of every statement."""
    moves = [one for statement in statements() for one in broken(statement)]
    return [*moves, *(one for statement in queues() for one in broken_queue(statement))]


def sample(mutants: Sequence[T]) -> Sequence[T]:
    """Each sixth, or every one."""
    return mutants[len(mutants) % EVERY :: EVERY]


def test_the_probes_find_nothing_wrong_where_nothing_is_taken_out(court: Court) -> None:
    assert unsound(court.connection, probes_of(court.fixture)) == []
    assert unsound_statements(court.connection, court.bystanders, court.fixture) == []


def test_whatever_is_taken_out_of_the_schema_is_missed(court: Court) -> None:
    mutants = [one for one in of_schema() if not is_equivalent(one.name)]
    evaluation = evaluate(court.connection, sample(mutants), probes_of(court.fixture))
    print(f"of {len(mutants)}: {evaluation}")  # noqa: T201 - the count is part of the proof
    assert not evaluation.survivors


def test_whatever_is_taken_out_of_a_statement_is_missed(court: Court) -> None:
    mutants = [one for one in of_statements() if not is_equivalent(one.name)]
    evaluation = evaluate_statements(court.connection, court.bystanders, court.fixture, sample(mutants))
    print(f"of {len(mutants)}: {evaluation}")  # noqa: T201 - the count is part of the proof
    assert not evaluation.survivors


def test_every_kind_of_artefact_has_its_mutants() -> None:
    kinds = {one.name.split()[0].split(".")[0].rstrip(":") for one in of_schema()}
    tables = {"jobs", "stages", "tasks", "callbacks", "job_events"}
    assert kinds >= {*tables, "trigger", "function", "index", "view", "GRANT", "REVOKE", "legal"}
    names = [one.name for one in of_statements()]
    assert len(names) == len(set(names))
    for part in ("its lock", "SKIP LOCKED", "its order", "x.status IN", "lease_number = i.lease_number"):
        assert any(part in name for name in names), part


def test_each_reason_why_a_mutant_is_equivalent_speaks_of_one() -> None:
    names = [*(one.name for one in of_schema()), *(one.name for one in of_statements())]
    for pattern in EQUIVALENT:
        assert any(re.fullmatch(pattern, name) for name in names), pattern

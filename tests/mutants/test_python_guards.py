"""Every gap check of the machine and every check of a definition is needed: without it, a test of behaviour fails."""

import pytest

from coremachine.statemachine import checks, gaps
from tests.mutants.of_python import Mutant, first_failure, in_place, of_module
from tests.unit import test_definition_checks as of_definitions
from tests.unit import test_machine as of_machine

GAPS = list(of_module(gaps))
CHECKS = list(of_module(checks))


def test_the_tests_pass_where_nothing_is_taken_out() -> None:
    assert first_failure(of_machine) is None
    assert first_failure(of_definitions) is None


@pytest.mark.parametrize("mutant", GAPS, ids=lambda one: one.name)
def test_without_a_gap_check_a_test_fails(mutant: Mutant) -> None:
    with in_place(mutant):
        assert first_failure(of_machine)


@pytest.mark.parametrize("mutant", CHECKS, ids=lambda one: one.name)
def test_without_a_check_of_definitions_a_test_fails(mutant: Mutant) -> None:
    with in_place(mutant):
        assert first_failure(of_definitions)


def test_every_condition_of_the_register_has_its_mutants() -> None:
    assert {gap.condition for gap in gaps.REGISTER} == {one.function for one in GAPS}
    assert {one.function.__name__ for one in CHECKS} >= {name for name in vars(checks) if name.startswith("_check_")}

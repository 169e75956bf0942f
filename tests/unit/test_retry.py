"""Back-off: exponential, capped, spread, and refused where it makes no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coremachine.statemachine.errors import DefinitionError
from coremachine.statemachine.retry import Backoff


def test_the_delay_doubles_up_to_the_most() -> None:
    backoff = Backoff(first=1, factor=2, most=10, jitter=0)
    assert [backoff.delay(attempt) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_jitter_spreads_the_delay_around_its_value() -> None:
    backoff = Backoff(first=8, factor=1, most=8, jitter=0.5)
    chances = iter((0.0, 0.5, 1.0))
    assert [backoff.delay(1, lambda: next(chances)) for _ in range(3)] == [6, 8, 10]


def test_tasks_that_failed_together_do_not_come_back_together() -> None:
    assert len({Backoff().delay(3) for _ in range(20)}) > 1


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_no_attempt_is_too_many(attempt: int, chance: float) -> None:
    backoff = Backoff(first=1, factor=1e300, most=300, jitter=1)
    assert 0 <= backoff.delay(attempt, lambda: chance) <= 450


def test_no_delay_at_all_may_be_wanted() -> None:
    assert Backoff(first=0, most=0).delay(5) == 0


@pytest.mark.parametrize("wrong", [{"first": -1}, {"factor": 0.5}, {"most": 0.5}, {"jitter": -0.1}, {"jitter": 1.1}])
def test_a_backoff_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DefinitionError, match=r"Backoff\(.*first ≥ 0, factor ≥ 1, most ≥ first and 0 ≤ jitter ≤ 1"):
        Backoff(**wrong)

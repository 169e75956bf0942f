"""How much a worker claims ahead follows from how long its handlers last."""

from coremachine.runtime.executor.prefetch_policy import AHEAD_SECONDS, PrefetchPolicy


def observed(seconds: float, times: int = 50, slots: int = 8, most: int = 1000) -> PrefetchPolicy:
    prefetch_policy = PrefetchPolicy(slots, most)
    for _ in range(times):
        prefetch_policy.observe("add", seconds)
    return prefetch_policy


def test_of_a_type_that_was_never_seen_nothing_is_claimed_ahead() -> None:
    assert PrefetchPolicy(8, 1000).prefetch_for("add") == 0
    assert PrefetchPolicy(8, 1000).largest_prefetch() == 0


def test_of_brief_handlers_hundreds_are_claimed_ahead_and_no_more_than_allowed() -> None:
    assert observed(0.001).prefetch_for("add") == 400
    assert observed(0.000_001).prefetch_for("add") == 1000
    assert observed(0.000_001, most=0).prefetch_for("add") == 0


def test_of_handlers_that_last_nothing_is_claimed_ahead() -> None:
    assert observed(AHEAD_SECONDS * 9).prefetch_for("add") == 0


def test_one_handler_that_lasts_ends_claiming_ahead_until_many_have_not() -> None:
    prefetch_policy = observed(0.001)
    prefetch_policy.observe("add", 60)
    assert prefetch_policy.prefetch_for("add") == 0
    for _ in range(200):
        prefetch_policy.observe("add", 0.001)
    assert prefetch_policy.prefetch_for("add") > 300


def test_types_are_told_apart() -> None:
    prefetch_policy = observed(0.001)
    prefetch_policy.observe("slow", 60)
    assert (
        prefetch_policy.prefetch_for("slow"),
        prefetch_policy.prefetch_for("add"),
        prefetch_policy.largest_prefetch(),
    ) == (0, 400, 400)


def test_brief_handlers_are_left_to_one_thread_and_those_that_last_get_one_each() -> None:
    assert observed(0.000_001).threads("add", 500, awake=0) == 1
    assert observed(0.000_001).threads("add", 500, awake=1) == 0
    assert observed(1.0).threads("add", 5, awake=3) == 5
    assert PrefetchPolicy(8, 1000).threads("add", 5, awake=0) == 5

"""How much a worker claims ahead follows from how long its handlers last."""

from coremachine.runtime.worker.pace import AHEAD_SECONDS, Pace


def heard(seconds: float, times: int = 50, places: int = 8, most: int = 1000) -> Pace:
    pace = Pace(places, most)
    for _ in range(times):
        pace.heard("add", seconds)
    return pace


def test_of_a_type_that_was_never_seen_nothing_is_claimed_ahead() -> None:
    assert Pace(8, 1000).ahead("add") == 0
    assert Pace(8, 1000).most_ahead() == 0


def test_of_brief_handlers_hundreds_are_claimed_ahead_and_no_more_than_allowed() -> None:
    assert heard(0.001).ahead("add") == 400
    assert heard(0.000_001).ahead("add") == 1000
    assert heard(0.000_001, most=0).ahead("add") == 0


def test_of_handlers_that_last_nothing_is_claimed_ahead() -> None:
    assert heard(AHEAD_SECONDS * 9).ahead("add") == 0


def test_one_handler_that_lasts_ends_claiming_ahead_until_many_have_not() -> None:
    pace = heard(0.001)
    pace.heard("add", 60)
    assert pace.ahead("add") == 0
    for _ in range(200):
        pace.heard("add", 0.001)
    assert pace.ahead("add") > 300


def test_types_are_told_apart() -> None:
    pace = heard(0.001)
    pace.heard("slow", 60)
    assert (pace.ahead("slow"), pace.ahead("add"), pace.most_ahead()) == (0, 400, 400)


def test_brief_handlers_are_left_to_one_thread_and_those_that_last_get_one_each() -> None:
    assert heard(0.000_001).threads("add", 500, awake=0) == 1
    assert heard(0.000_001).threads("add", 500, awake=1) == 0
    assert heard(1.0).threads("add", 5, awake=3) == 5
    assert Pace(8, 1000).threads("add", 5, awake=0) == 5

"""A worker is killed, or its connections are cut, at points all along a job: the rest recovers, and nothing is lost.

This is the part that fits into the test run; `python -m tests.crash.matrix --all` tries every point.
"""

import pytest

from tests.crash.matrix import INSIDE, Mode, Trial, try_point, try_points

AT_ONCE = 4
POINTS = 14
A_REQUEST = 2

pytestmark = pytest.mark.timeout(240)


async def points_along(template: str, server: str, mode: Mode) -> list[int]:
    """Points spread evenly over the requests of a worker that nobody disturbs, lost requests and lost answers alike."""
    undisturbed = await try_point(template, server, mode, 0)
    assert (undisturbed.struck, undisturbed.problems) == (None, ())
    most = A_REQUEST * undisturbed.requests
    return sorted({1 + round(number * (most - 1) / POINTS) for number in range(POINTS)})


def troubles(trials: list[Trial]) -> list[str]:
    """What went wrong, and where."""
    return [f"{trial.point}, {trial.struck}: {problem}" for trial in trials for problem in trial.problems]


async def test_a_job_survives_the_death_of_its_worker_at_points_all_along_the_wire(template: str, server: str) -> None:
    points = await points_along(template, server, "kill")
    trials = await try_points(template, server, "kill", points, AT_ONCE)
    assert not troubles(trials)
    assert len([trial for trial in trials if trial.struck]) >= POINTS // 2, "too few points came"


async def test_a_worker_survives_lost_connections_at_points_all_along_the_wire(template: str, server: str) -> None:
    points = await points_along(template, server, "cut")
    trials = await try_points(template, server, "cut", points, AT_ONCE)
    assert not troubles(trials)
    assert len([trial for trial in trials if trial.struck]) >= POINTS // 2, "too few points came"


async def test_a_job_survives_each_of_its_functions_killing_the_worker(template: str, server: str) -> None:
    trials = await try_points(template, server, "inside", range(1, len(INSIDE) + 1), AT_ONCE)
    assert not troubles(trials)
    assert all(trial.struck for trial in trials)

"""A worker is killed, or its connections are cut, at points all along a job: the rest recovers, and nothing is lost.

This is the part that fits into the test run; `python -m tests.crash.matrix --all` tries every point.
"""

from collections.abc import Iterator

import pytest

from tests.crash.grounds import Ground
from tests.crash.matrix import INSIDE, Mode, Trial, try_point, try_points
from tests.servicebus.brokers import BrokerProcess

AT_ONCE = 4
POINTS = 14
POINTS_OF_A_BROKER = 5

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def ground(template: str, server: str) -> Ground:
    """Messages over PostgreSQL."""
    return Ground(template, server)


@pytest.fixture
def broker_ground(template: str, server: str) -> Iterator[Ground]:
    """Messages over the real SDK; the worker's connections to the broker are struck."""
    with BrokerProcess() as broker:
        yield Ground(template, server, broker, "bus")


async def points_along(ground: Ground, mode: Mode, number: int) -> list[int]:
    """Points spread evenly over the wire of a worker that nobody disturbs, lost requests and lost answers alike."""
    undisturbed = await try_point(ground, mode, 0)
    assert (undisturbed.struck, undisturbed.problems) == (None, ())
    return sorted({1 + round(index * (undisturbed.points - 1) / number) for index in range(number)})


def troubles(trials: list[Trial]) -> list[str]:
    """What went wrong, and where."""
    return [f"{trial.point}, {trial.struck}: {problem}" for trial in trials for problem in trial.problems]


async def survives(ground: Ground, mode: Mode, number: int) -> None:
    """Strike at `number` points, see that all is well after each, and that they were not all too late."""
    points = await points_along(ground, mode, number)
    trials = await try_points(ground, mode, points, AT_ONCE)
    assert not troubles(trials)
    assert len([trial for trial in trials if trial.struck]) >= number // 2, "too few points came"


async def test_a_job_survives_the_death_of_its_worker_at_points_all_along_the_wire(ground: Ground) -> None:
    await survives(ground, "kill", POINTS)


async def test_a_worker_survives_lost_connections_at_points_all_along_the_wire(ground: Ground) -> None:
    await survives(ground, "cut", POINTS)


async def test_a_job_survives_each_of_its_functions_killing_the_worker(ground: Ground) -> None:
    trials = await try_points(ground, "inside", range(1, len(INSIDE) + 1), AT_ONCE)
    assert not troubles(trials)
    assert all(trial.struck for trial in trials)


async def test_a_job_survives_the_death_of_its_worker_at_points_all_along_its_wire_to_a_broker(
    broker_ground: Ground,
) -> None:
    await survives(broker_ground, "kill", POINTS_OF_A_BROKER)


async def test_a_worker_survives_connections_to_a_broker_that_are_lost_at_points_all_along_the_wire(
    broker_ground: Ground,
) -> None:
    await survives(broker_ground, "cut", POINTS_OF_A_BROKER)

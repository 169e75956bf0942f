"""A worker is killed, or its connections are cut or go silent, at points throughout a job: nothing is lost.

This part is short enough for the test run; `python -m tests.crash.matrix --all` tries every point.
"""

from collections.abc import Iterator

import pytest

from tests.crash.environments import TrialEnvironment
from tests.crash.matrix import INSIDE, Mode, Trial, try_point, try_points
from tests.servicebus.brokers import BrokerProcess

AT_ONCE = 4
POINTS = 14
POINTS_OF_A_BROKER = 5
SWALLOWED_POINTS = 6

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def environment(template: str, server: str) -> TrialEnvironment:
    """Messages over PostgreSQL."""
    return TrialEnvironment(template, server)


@pytest.fixture
def broker_environment(template: str, server: str) -> Iterator[TrialEnvironment]:
    """Messages over the real SDK; the worker's connections to the broker are struck."""
    with BrokerProcess() as broker:
        yield TrialEnvironment(template, server, broker, "bus")


async def points_along(environment: TrialEnvironment, mode: Mode, number: int) -> list[int]:
    """Points spread evenly over the requests and responses of a worker that is not disturbed."""
    undisturbed = await try_point(environment, mode, 0)
    assert (undisturbed.struck, undisturbed.problems) == (None, ())
    return sorted({1 + round(index * (undisturbed.points - 1) / number) for index in range(number)})


def problems(trials: list[Trial]) -> list[str]:
    """What went wrong, and where."""
    return [f"{trial.point}, {trial.struck}: {problem}" for trial in trials for problem in trial.problems]


async def survives(environment: TrialEnvironment, mode: Mode, number: int) -> None:
    """Strike at `number` points, check the result of each, and that most of them were not too late."""
    points = await points_along(environment, mode, number)
    trials = await try_points(environment, mode, points, AT_ONCE)
    assert not problems(trials)
    assert len([trial for trial in trials if trial.struck]) >= number // 2, "too few points came"


async def test_a_job_survives_the_death_of_its_worker_at_points_all_along_the_wire(
    environment: TrialEnvironment,
) -> None:
    await survives(environment, "kill", POINTS)


async def test_a_worker_survives_lost_connections_at_points_all_along_the_wire(environment: TrialEnvironment) -> None:
    await survives(environment, "cut", POINTS)


async def test_a_worker_survives_connections_that_swallow_what_is_sent_at_points_all_along_the_wire(
    environment: TrialEnvironment,
) -> None:
    await survives(environment, "swallow", SWALLOWED_POINTS)


async def test_a_job_survives_each_of_its_functions_killing_the_worker(environment: TrialEnvironment) -> None:
    trials = await try_points(environment, "inside", range(1, len(INSIDE) + 1), AT_ONCE)
    assert not problems(trials)
    assert all(trial.struck for trial in trials)


async def test_a_job_survives_the_death_of_its_worker_at_points_all_along_its_wire_to_a_broker(
    broker_environment: TrialEnvironment,
) -> None:
    await survives(broker_environment, "kill", POINTS_OF_A_BROKER)


async def test_a_worker_survives_connections_to_a_broker_that_are_lost_at_points_all_along_the_wire(
    broker_environment: TrialEnvironment,
) -> None:
    await survives(broker_environment, "cut", POINTS_OF_A_BROKER)


async def test_a_worker_survives_connections_to_a_broker_that_swallow_what_is_sent_at_points_all_along_the_wire(
    broker_environment: TrialEnvironment,
) -> None:
    await survives(broker_environment, "swallow", SWALLOWED_POINTS)

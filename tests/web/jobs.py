"""Jobs with recognizable parameters, results and tracebacks, whose tasks fail on request."""

import asyncio
from dataclasses import dataclass, field

from coremachine import Job, Stage, task
from coremachine.statemachine.retry import Backoff

GIVEN, RETURNED, TRACED = "parameter-of-ours", "result-of-ours", "frame_of_ours"
AT_ONCE = Backoff(first=0.01, factor=1, most=0.01, jitter=0)


@dataclass
class World:
    """What controls the handlers of a test."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failing: set[int] = field(default_factory=set[int])
    message: str = "window lies outside the raster"


world = World()


class RasterReadError(Exception):
    """The error of the handlers."""


def frame_of_ours(number: int) -> None:
    """Raise from a function whose name appears in the traceback."""
    if number in world.failing:
        raise RasterReadError(world.message)


@task
def plan(size: int, name: str = GIVEN) -> list[int]:  # noqa: ARG001 - a parameter to be shown, or not
    return list(range(size))


@task(retries=1, backoff=AT_ONCE)
async def shade(number: int) -> str:
    await world.gate.wait()
    frame_of_ours(number)
    return f"{RETURNED}-{number}"


@task
def mosaic(tiles: list[str]) -> str:
    return f"{RETURNED}: {len(tiles)}"


raster = Job(
    "raster", [Stage("plan", plan), Stage("shade", shade, each="plan"), Stage("mosaic", mosaic, gather="shade")]
)

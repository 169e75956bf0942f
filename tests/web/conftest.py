import pytest

from tests.web.jobs import World, world


@pytest.fixture(autouse=True)
def open_gate() -> None:
    """Reset the world: no handler waits or fails."""
    vars(world).update(vars(World()))
    world.gate.set()

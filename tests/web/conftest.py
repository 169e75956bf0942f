import asyncio
from collections.abc import Iterator

import pytest

from tests.web.jobs import world


@pytest.fixture(autouse=True)
def open_gate() -> Iterator[None]:
    """Nothing waits, nothing fails."""
    world.gate = asyncio.Event()
    world.gate.set()
    world.failing = set()
    yield
    world.failing = set()

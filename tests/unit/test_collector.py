"""The garbage collector of a worker's process looks at what was loaded once, and never again."""

import gc
from collections.abc import Iterator
from typing import cast

import pytest

from coremachine.runtime.bus.port import Bus
from coremachine.runtime.worker.garbage_collector import ease_collector


class LazyBus:
    """A bus whose SDK is loaded when its transport is first asked for."""

    loaded = False

    @property
    def transport(self) -> None:
        """None, as of PostgreSQL, and noted."""
        self.loaded = True


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector of the tests' own process, put back as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_is_loaded_is_left_alone_and_the_rest_is_still_collected() -> None:
    bus = LazyBus()
    ease_collector(cast("Bus", bus))
    assert bus.loaded
    assert gc.get_freeze_count() > 10_000
    ring: list[object] = []
    ring.append(ring)
    assert len(gc.get_objects()) < gc.get_freeze_count()
    del ring
    assert gc.isenabled()
    assert gc.collect() > 0

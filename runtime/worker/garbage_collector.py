"""Python's garbage collector in a process that only runs a worker."""

import gc
from typing import Final

from ..bus.port import Bus

_YOUNG: Final = 10_000  # objects; of Python's 700, one batch of tasks is several collections


def ease_collector(bus: Bus) -> None:
    """Freeze the objects that exist now, which are permanent, and collect the rest less often.

    For the program of a worker, once everything except the bus's SDK is imported: it changes the collector of the whole
    process. A full collection of a worker's modules takes 0.1 s, in which no handler runs and nothing is written.
    """
    _ = bus.transport
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(_YOUNG, *older)

"""Python's garbage collector in a process that is a worker and nothing else."""

import gc
from typing import Final

from ..bus.port import Bus

_YOUNG: Final = 10_000  # objects; of Python's 700, one batch of tasks is several collections


def ease_collector(bus: Bus) -> None:
    """Have what is loaded by now, which stays, looked at no more, and the rest less often.

    For the program of a worker, once all but the bus's SDK is imported: it changes the collector of the whole process.
    A full collection of a worker's modules takes 0.1 s, in which no handler runs and nothing is written.
    """
    _ = bus.transport
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(_YOUNG, *older)

"""What handlers leave behind, outside of the system that runs them: how many were done, by whom, when the job ended.

The counts lie in memory that is mapped to a file, one for each process, so that they cost next to nothing and outlive a
process that is killed. With BENCH_PAUSE each task lasts that many seconds, and a line is appended when it has begun and
when it is done.
"""

import asyncio
import mmap
import os
import struct
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Lock

from watch import Watch, wait

FOLDER = Path(os.environ["BENCH_MARKS"])
PAUSE = float(os.environ.get("BENCH_PAUSE", "0"))
COUNT = struct.Struct("q")
NOTHING = bytes(COUNT.size)
LINES = "items"
REST = 0.02
PATIENCE = 60


class Tally:
    """How many tasks this process has done. Its file is made at the first of them, so after any fork."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._page: mmap.mmap | None = None

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            if self._page is None:
                self._page = page(FOLDER / f"tally.{os.getpid()}")
            self._count += 1
            COUNT.pack_into(self._page, 0, self._count)


def page(file: Path) -> mmap.mmap:
    """The file as memory."""
    file.write_bytes(NOTHING)
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), COUNT.size)


def append(name: str, line: str) -> None:
    """Append a line in one write, which processes that append at once do not break up."""
    opened = os.open(FOLDER / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, f"{line}\n".encode())
    finally:
        os.close(opened)


TALLY = Tally()


def work(item: int) -> None:
    """Do one task of many: nothing, unless tasks are to last."""
    if PAUSE:
        append(LINES, f"begun {item}")
        time.sleep(PAUSE)
        append(LINES, f"done {item}")
    TALLY.add()


async def work_async(item: int) -> None:
    """Do the same in an event loop."""
    if PAUSE:
        append(LINES, f"begun {item}")
        await asyncio.sleep(PAUSE)
        append(LINES, f"done {item}")
    TALLY.add()


def samples(times: int) -> Iterator[int]:
    """The moments, in microseconds, at which a task that rings with its moment is to be submitted, one after another.

    The next one comes a little after the bell of the one before, so that the system is idle. Raises TimeoutError.
    """
    watch = Watch(FOLDER)
    for number in range(1, times + 1):
        yield time.time_ns() // 1000
        wait(partial(_has_rung, watch, number), PATIENCE, f"the bell of sample {number}")
        time.sleep(REST)


def ring(moment: int) -> None:
    """Say, as the first thing in a handler, how long after its submission it began."""
    append("rung", str(time.time_ns() // 1000 - moment))


def _has_rung(watch: Watch, times: int) -> bool:
    return len(watch.waits()) >= times


def submitted() -> None:
    """Say that the job is about to be submitted."""
    append("submitted", str(time.time()))


def planned() -> None:
    """Say which process fans out."""
    append("planned", str(os.getpid()))


def ended() -> None:
    """Say that the fan-in has been reached."""
    append("ended", str(time.time()))

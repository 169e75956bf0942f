"""Marks that handlers write outside the system that runs them: tasks done, by which process, and the end of the job.

The counts are in memory that is mapped to a file, one for each process, so that they cost almost nothing and survive a
process that is killed. With BENCH_PAUSE each task takes that many seconds, and a line is appended when it begins and
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
ZERO = bytes(COUNT.size)
LINES = "items"
PAUSE_BETWEEN_SAMPLES = 0.02
SAMPLE_SECONDS = 60


class Tally:
    """The number of tasks that this process has done. Its file is created at the first one, so after any fork."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._page: mmap.mmap | None = None

    def add(self) -> None:
        """Count one task."""
        with self._lock:
            if self._page is None:
                self._page = page(FOLDER / f"tally.{os.getpid()}")
            self._count += 1
            COUNT.pack_into(self._page, 0, self._count)


def page(file: Path) -> mmap.mmap:
    """Create the file and map it to memory."""
    file.write_bytes(ZERO)
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), COUNT.size)


def append(name: str, line: str) -> None:
    """Append a line in a single write, so that lines of several processes do not mix."""
    opened = os.open(FOLDER / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, f"{line}\n".encode())
    finally:
        os.close(opened)


TALLY = Tally()


def work(item: int) -> None:
    """Do one task: nothing, or a pause."""
    if PAUSE:
        append(LINES, f"begun {item}")
        time.sleep(PAUSE)
        append(LINES, f"done {item}")
    TALLY.add()


async def work_async(item: int) -> None:
    """The same in an event loop."""
    if PAUSE:
        append(LINES, f"begun {item}")
        await asyncio.sleep(PAUSE)
        append(LINES, f"done {item}")
    TALLY.add()


def samples(times: int) -> Iterator[int]:
    """Times in microseconds: at each, submit one task, which then calls `record_latency` with it.

    The next time follows shortly after the task of the previous one has run, so that the system is idle. Raises
    TimeoutError.
    """
    watch = Watch(FOLDER)
    for number in range(1, times + 1):
        yield time.time_ns() // 1000
        wait(partial(_has_run, watch, number), SAMPLE_SECONDS, f"the task of sample {number}")
        time.sleep(PAUSE_BETWEEN_SAMPLES)


def record_latency(submitted_us: int) -> None:
    """Record the time since the submission. The first line of a handler."""
    append("latencies", str(time.time_ns() // 1000 - submitted_us))


def _has_run(watch: Watch, times: int) -> bool:
    return len(watch.latencies()) >= times


def submitted() -> None:
    """Record that the job is about to be submitted."""
    append("submitted", str(time.time()))


def planned() -> None:
    """Record which process fans out."""
    append("planned", str(os.getpid()))


def ended() -> None:
    """Record that the fan-in has run."""
    append("ended", str(time.time()))

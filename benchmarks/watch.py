"""Reads the marks that workers write while a job runs."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.005
PAGE = 8


@dataclass(frozen=True, slots=True)
class Watch:
    """The folder of the marks that marks.py makes."""

    folder: Path

    def done(self) -> int:
        """The number of tasks done; a task that ran twice counts twice."""
        return sum(self.by_process().values())

    def by_process(self) -> dict[int, int]:
        """The number of tasks that each process has done."""
        return {
            int(file.suffix[1:]): int.from_bytes(file.read_bytes()[:PAGE], "little", signed=True)
            for file in self.folder.glob("tally.*")
        }

    def submitted(self) -> float:
        """The time at which the last job was submitted."""
        return float(self._lines("submitted")[-1])

    def planner(self) -> int:
        """The process that fanned out last."""
        return int(self._lines("planned")[-1])

    def ends(self) -> list[float]:
        """The time of each fan-in."""
        return [float(line) for line in self._lines("ended")]

    def begun(self) -> Counter[str]:
        """How often each item was begun, if tasks have a pause."""
        return self._items("begun")

    def finished(self) -> Counter[str]:
        """How often each item was done, if tasks have a pause."""
        return self._items("done")

    def forget_items(self) -> None:
        """Forget the marks of the warm-up."""
        (self.folder / "items").write_text("", encoding="utf-8")

    def latencies(self) -> list[float]:
        """Milliseconds from the submission of each sample to its handler."""
        return [int(line) / 1_000 for line in self._lines("latencies")]

    def forget_latencies(self) -> None:
        """Forget the marks of the warm-up."""
        (self.folder / "latencies").unlink(missing_ok=True)

    def _items(self, what: str) -> Counter[str]:
        marks = (line.split() for line in self._lines("items"))
        return Counter(item for event, item in marks if event == what)

    def _lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def wait(reached: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `reached` returns True. Raises TimeoutError."""
    limit = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)

"""What the runner sees of the workers' marks while a job runs."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOK = 0.005
PAGE = 8


@dataclass(frozen=True, slots=True)
class Watch:
    """The folder of the marks that marks.py makes."""

    folder: Path

    def done(self) -> int:
        """How many tasks have been done, again and again counted each time."""
        return sum(self.by_process().values())

    def by_process(self) -> dict[int, int]:
        """How many tasks each process has done."""
        return {
            int(file.suffix[1:]): int.from_bytes(file.read_bytes()[:PAGE], "little", signed=True)
            for file in self.folder.glob("tally.*")
        }

    def submitted(self) -> float:
        """When the last job was submitted."""
        return float(self._lines("submitted")[-1])

    def planner(self) -> int:
        """The process that fanned out last."""
        return int(self._lines("planned")[-1])

    def ends(self) -> list[float]:
        """When each fan-in was reached."""
        return [float(line) for line in self._lines("ended")]

    def begun(self) -> Counter[str]:
        """How often each item was begun, where tasks last."""
        return self._items("begun")

    def finished(self) -> Counter[str]:
        """How often each item was done, where tasks last."""
        return self._items("done")

    def forget_items(self) -> None:
        """Leave out what the warm-up did."""
        (self.folder / "items").write_text("", encoding="utf-8")

    def waits(self) -> list[float]:
        """How long each sample waited from its submission to its handler, in milliseconds."""
        return [int(line) / 1_000 for line in self._lines("rung")]

    def forget_waits(self) -> None:
        """Leave out what the warm-up did."""
        (self.folder / "rung").unlink(missing_ok=True)

    def _items(self, what: str) -> Counter[str]:
        words = (line.split() for line in self._lines("items"))
        return Counter(item for told, item in words if told == what)

    def _lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def wait(reached: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until it is so. Raises TimeoutError."""
    limit = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(LOOK)

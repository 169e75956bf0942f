"""What a test sees of a child: what its handler tells, and its process."""

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Mapping

from coremachine.statemachine.context import TaskContext


class Heard:
    """A context, what a handler told it, and whether the handler has said that it began."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.begun = asyncio.Event()
        self.context = TaskContext(job_id="j1", task_id="j1/2/3", stage="tiles", index=3, attempt=2, emit=self._emit)
        self.context.lease_number = 4

    def _emit(self, kind: str, data: Mapping[str, object]) -> None:
        self.told.append((kind, data))
        self.begun.set()

    async def process(self) -> "Process":
        """The process that the handler named as it began."""
        await self.begun.wait()
        pid = self.told[0][1]["pid"]
        assert isinstance(pid, int)
        return Process(pid)


class Process:
    """A process that lives, held by a descriptor, so that its number cannot come to mean another one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def is_gone(self, within: float = 0) -> bool:
        """Whether it has ended, or does within some seconds."""
        return bool(select.select([self._fd], [], [], within)[0])

    def close(self) -> None:
        """Kill it, if the test found that nobody else did."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        os.close(self._fd)

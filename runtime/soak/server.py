"""A PostgreSQL of the soak's own, which can be ended in the three ways in which a server ends."""

import asyncio
import os
import signal
from pathlib import Path
from random import Random
from typing import Final

from ..embedded import EmbeddedServer

ENDINGS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "killed": signal.SIGKILL}
"""What PostgreSQL makes of a signal to its first process: cut everybody off and write; end at once; nothing at all."""
SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 3.0


class Server:
    """The server of a data directory. Raises EmbeddedServerError where it does not come up."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._held = EmbeddedServer.open(data_dir)
        self._before = 0

    @property
    def url(self) -> str:
        """The URL of the owner's database. The same after each restart."""
        return self._held.url

    @property
    def log(self) -> Path:
        """What the server has said."""
        return self._data_dir / "server.log"

    async def end(self, kind: str, random: Random) -> None:
        """End the server as `kind` says, and leave it down for a moment. `begin` must follow."""
        self._before = self._postmaster()
        os.kill(self._before, ENDINGS[kind])
        await asyncio.sleep(SHORTEST_PAUSE + random.random() * LONGEST_PAUSE)

    async def begin(self) -> None:
        """Bring the server up again. Raises EmbeddedServerError; it may be called again then."""
        while True:
            left, self._held = self._held, await asyncio.to_thread(EmbeddedServer.open, self._data_dir)
            await asyncio.to_thread(left.close)
            if self._postmaster() != self._before:
                return
            await asyncio.sleep(SHORTEST_PAUSE)  # it answered once more before it heard the signal

    def stop(self) -> None:
        """End the server."""
        self._held.stop()

    def _postmaster(self) -> int:
        file = self._data_dir / "cluster" / "data" / "postmaster.pid"
        return int(file.read_text(encoding="utf-8").split("\n", 1)[0])

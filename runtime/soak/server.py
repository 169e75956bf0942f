"""A PostgreSQL for the soak, which can be ended in the three ways in which a server ends."""

import asyncio
import os
import signal
from pathlib import Path
from random import Random
from typing import Final

from ..embedded import EmbeddedServer

SHUTDOWNS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "killed": signal.SIGKILL}
"""Signals to the postmaster: disconnect clients and write; end at once; end without any handling."""
SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 3.0


class Server:
    """The server of a data directory. Raises EmbeddedServerError if it does not start."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server = EmbeddedServer.open(data_dir)
        self._ended_pid = 0

    @property
    def url(self) -> str:
        """The URL of the owner's database. The same after each restart."""
        return self._server.url

    @property
    def log(self) -> Path:
        """The server's log."""
        return self._data_dir / "server.log"

    async def end(self, kind: str, random: Random) -> None:
        """End the server in one of the ways of SHUTDOWNS, and wait a moment. Call `start` next."""
        self._ended_pid = self._postmaster()
        os.kill(self._ended_pid, SHUTDOWNS[kind])
        await asyncio.sleep(SHORTEST_PAUSE + random.random() * LONGEST_PAUSE)

    async def start(self) -> None:
        """Start the server again. After an EmbeddedServerError it may be called again."""
        while True:
            previous, self._server = self._server, await asyncio.to_thread(EmbeddedServer.open, self._data_dir)
            await asyncio.to_thread(previous.close)
            if self._postmaster() != self._ended_pid:
                return
            await asyncio.sleep(SHORTEST_PAUSE)  # it answered once more before it received the signal

    def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def _postmaster(self) -> int:
        file = self._data_dir / "cluster" / "data" / "postmaster.pid"
        return int(file.read_text(encoding="utf-8").split("\n", 1)[0])

"""A broker in a thread of this process, one in a process of its own, and one that another test started."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from .control import Control
from .entities import QueueSettings
from .server import LOOPBACK, Server

ROOT = Path(__file__).parents[2]
GIVEN_UP = 30.0
Queues = Mapping[str, QueueSettings | Mapping[str, Any] | None]


class Broker(Control):
    """A broker in a thread of its own, for as long as the block lasts. A command takes about 0.1 ms."""

    def __init__(self, queues: Queues | None = None, *, port: int = 0) -> None:
        self.port = port
        self._queues = queues or {}
        self._loop = asyncio.new_event_loop()
        self._server = Server()
        self._thread = threading.Thread(target=self._run, name="test-broker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._server.listen(self.port))
        self.port = self._server.port
        for name, settings in self._queues.items():
            self.create_queue(name, **as_mapping(settings))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._call(self._rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GIVEN_UP)

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command in the broker's thread."""
        answer: dict[str, Any] = self._call(self._server.answer(command))
        return answer

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(GIVEN_UP)

    async def _rest(self) -> None:
        """Let the connections hear that they are closed."""
        self._server.close()
        await asyncio.gather(*(door.gone for door in list(self._server.doors)))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


class RemoteBroker(Control):
    """A broker that runs elsewhere, governed over its own port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._line = socket.create_connection((LOOPBACK, port), GIVEN_UP)
        self._answers = self._line.makefile("rb")
        self._turn = threading.Lock()

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        with self._turn:
            self._line.sendall(json.dumps(command).encode() + b"\n")
            answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    def close(self) -> None:
        """Hang up; the broker goes on."""
        self._answers.close()
        self._line.close()


class BrokerProcess(RemoteBroker):
    """A broker in a process of its own, for as long as the block lasts: its CPU is not the client's."""

    def __init__(self, queues: Queues | None = None, *, port: int = 0) -> None:
        named = [f"{name}={json.dumps(dict(as_mapping(settings)))}" for name, settings in (queues or {}).items()]
        arguments = [word for queue in named for word in ("--queue", queue)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.servicebus", "--port", str(port), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        super().__init__(int(told.partition("Endpoint=sb://")[2].partition(";")[0].rpartition(":")[2]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        with suppress(BrokenPipeError):
            self.process.communicate(timeout=GIVEN_UP)


def as_mapping(settings: QueueSettings | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Settings by name."""
    return vars(settings) if isinstance(settings, QueueSettings) else settings or {}

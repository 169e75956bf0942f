"""The broker itself: its port, its queues, and the commands by which a test governs it."""

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from .connections import Connection
from .entities import DEAD_LETTERS, QueueSettings
from .faults import Fault, Faults
from .queues import Queue, with_dead_letters

LOOPBACK = "127.0.0.1"
COMMANDS = (
    *("configure", "counters", "create_queue", "expire_locks", "messages", "purge"),
    *("detach_links", "drop_connections", "fault", "heal", "stall_connections", "start", "stop", "struck"),
)


class Door(asyncio.Protocol):
    """What a new connection comes to: `{` starts a line of JSON commands, anything else is AMQP."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.connection: Connection | None = None
        self._lines: bytearray | None = None
        self.gone = asyncio.get_running_loop().create_future()
        self._answering: set[asyncio.Future[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.doors.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self.connection:
            self.connection.received(data)
        elif self._lines is not None or data.startswith(b"{"):
            self._lines = self._lines or bytearray()
            self._lines += data
            *whole, rest = bytes(self._lines).split(b"\n")
            self._lines = bytearray(rest)
            for line in whole:
                task = asyncio.ensure_future(self._command(line))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        else:
            self.connection = Connection(self.server, self.transport)
            self.connection.received(data)

    async def _command(self, line: bytes) -> None:
        self.transport.write(json.dumps(await self.server.answer(json.loads(line))).encode() + b"\n")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        """The other side went away."""
        self.server.doors.discard(self)
        self.gone.set_result(None)
        if self.connection:
            self.connection.lost()


class Server:
    """One broker. All its methods are to be called in its event loop."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.doors: set[Door] = set()
        self.port = 0
        self._queues: dict[str, Queue] = {}
        self._listener: asyncio.Server | None = None
        self._commands: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in COMMANDS}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command: `{"do": name, **arguments}` gives `{"ok": result}` or `{"error": text}`."""
        arguments = dict(command)
        try:
            result = self._commands[arguments.pop("do")](**arguments)
            return {"ok": await result if inspect.isawaitable(result) else result}
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    async def listen(self, port: int = 0) -> None:
        """Accept connections on loopback; port 0 is any that is free, and is kept from then on."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Door(self), LOOPBACK, port, backlog=512)
        self.port = self._listener.sockets[0].getsockname()[1]

    def queue(self, name: str) -> Queue | None:
        """A queue by its name, in whatever case, or None."""
        return self._queues.get(name.lower())

    def max_message_size(self, name: str | None) -> int:
        """The limit that a link tells."""
        queue = self.queue(name or "")
        return queue.settings.max_message_size if queue else QueueSettings.max_message_size

    def _known(self, name: str) -> Queue:
        return self._queues[name.lower()]

    # commands

    def create_queue(self, name: str, **settings: Any) -> None:
        """A queue and its dead letter queue."""
        for queue in with_dead_letters(name, QueueSettings(**settings)):
            self._queues[queue.name.lower()] = queue

    def configure(self, name: str, **settings: Any) -> None:
        """Change settings of a queue from now on."""
        queue = self._known(name)
        queue.settings = replace(queue.settings, **settings)

    def fault(self, **described: Any) -> None:
        """Set a fault."""
        self.faults.add(Fault(**described))

    def heal(self) -> None:
        """Forget all faults."""
        self.faults.heal()

    def struck(self) -> dict[str, int]:
        """How often each fault struck, as `kind@point`."""
        return dict(self.faults.struck)

    def counters(self, name: str) -> dict[str, int]:
        """The counters of a queue, with how many messages it holds and how many of them are locked."""
        queue = self._known(name)
        return asdict(queue.counters) | {"held": len(queue.messages), "locked": len(queue.locked)}

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What a queue holds, in the order of the sequence numbers."""
        queue = self._known(name)
        return [asdict(queue.messages[number].told()) for number in sorted(queue.messages)]

    def purge(self, name: str) -> None:
        """Empty a queue and its dead letter queue, with counters and history; links stay."""
        for emptied in (name, f"{name}/{DEAD_LETTERS}"):
            self._known(emptied).clear()

    def expire_locks(self, name: str) -> int:
        """End the locks of a queue's messages; how many they were."""
        return self._known(name).expire_locks()

    def drop_connections(self) -> int:
        """Reset every AMQP connection; how many they were."""
        dropped = self._connections()
        for connection in dropped:
            connection.drop()
        return len(dropped)

    def stall_connections(self) -> int:
        """Never again answer those that are connected now; how many they are."""
        stalled = self._connections()
        for connection in stalled:
            connection.stalled = True
        return len(stalled)

    def detach_links(
        self, name: str, condition: str = "amqp:link:detach-forced", description: str = "The link was force detached."
    ) -> int:
        """Close every link to a queue, with this error; how many they were."""
        sessions = [session for connection in self._connections() for session in connection.sessions.values()]
        doomed = [link for session in sessions for link in session.links.values() if link.queue_name == name]
        for link in doomed:
            link.detach(condition, description)
        return len(doomed)

    def _connections(self) -> list[Connection]:
        return [door.connection for door in self.doors if door.connection]

    def stop(self) -> None:
        """Refuse connections and reset those there are; those that carry commands stay."""
        if self._listener:
            self._listener.close()
            self._listener = None
        self.drop_connections()

    def close(self) -> None:
        """End: also the connections that carry commands, and every timer."""
        for queue in self._queues.values():
            queue.clear()
        for door in self.doors:
            door.transport.abort()

    async def start(self, *, keep: bool = True) -> None:
        """Listen again on the same port; without `keep`, the queues have lost all they held."""
        if not keep:
            for queue in list(self._queues.values()):
                counted = queue.counters
                queue.clear()
                queue.counters = counted
        await self.listen(self.port)

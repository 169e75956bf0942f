"""A proxy between the workers and PostgreSQL, whose connections can be cut, or paused one by one.

Each worker has its own port, so that its connections are known.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

LOOPBACK = "127.0.0.1"
CHUNK = 65536
BACKLOG = 64
KEY_DATA = b"K\x00\x00\x00\x0c"
"""Start of the message with the process id of the backend, sent after a client has logged in."""
LEASES = b"application_name\0coremachine leases\0"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(eq=False)
class Link:
    """One connection of a worker. `backend` is the process id of its backend, once that is known.

    `renews_leases` is whether it belongs to the worker's lease renewer.
    """

    client: Stream
    server: Stream
    backend: int | None = None
    renews_leases: bool = False
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: bytes = b""

    def __post_init__(self) -> None:
        self._flows.set()

    @property
    def is_paused(self) -> bool:
        """Whether no byte passes in either direction."""
        return not self._flows.is_set()

    def pause(self, seconds: float) -> None:
        """Let no byte pass for so many seconds. Nothing is lost, and neither end is informed."""
        self._flows.clear()
        asyncio.get_running_loop().call_later(seconds, self._flows.set)

    def cut(self) -> None:
        """End it as a broken network does, without closing it."""
        for _, writer in (self.client, self.server):
            writer.transport.abort()
        self._flows.set()

    async def pump(self) -> None:
        """Copy bytes until one end has closed the connection."""
        both = (self.client[0], self.server[1]), (self.server[0], self.client[1])
        copying = [asyncio.ensure_future(self._copy(*one)) for one in both]
        try:
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in copying:
                one.cancel()
            await asyncio.gather(*copying, return_exceptions=True)
            self.cut()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if self.backend is None:
                    self._look_at_login(data, from_client=reader is self.client[0])
                writer.write(data)
                await writer.drain()

    def _look_at_login(self, data: bytes, *, from_client: bool) -> None:
        if from_client:
            self.renews_leases |= LEASES in data
            return
        self._begun += data
        _, found, rest = self._begun.partition(KEY_DATA)
        if found and len(rest) >= 4:
            (self.backend,) = struct.unpack("!i", rest[:4])
            self._begun = b""


class WorkerPort:
    """A port for one worker."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket = socket.create_server((LOOPBACK, 0), backlog=BACKLOG)
        self._port: int = self._socket.getsockname()[1]
        self._serving: set[asyncio.Task[None]] = set()
        self._listening = asyncio.ensure_future(asyncio.start_server(self._accept, sock=self._socket))
        self.links: list[Link] = []

    @property
    def url(self) -> str:
        """The URL for the worker."""
        return make_conninfo(self._url, host=LOOPBACK, port=self._port, sslmode="disable", gssencmode="disable")

    def cut(self) -> None:
        """Cut every connection. New ones are accepted."""
        for link in tuple(self.links):
            link.cut()

    async def close(self) -> None:
        """Cut every connection, and accept no new one."""
        (await self._listening).close()
        self.cut()
        while self._serving:
            await asyncio.wait(set(self._serving))

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self._serve((client, to_client)))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, client: Stream) -> None:
        try:
            server = await self._connect()
        except OSError:  # PostgreSQL is down
            client[1].transport.abort()
            return
        link = Link(client, server)
        self.links.append(link)
        try:
            await link.pump()
        finally:
            self.links.remove(link)

    async def _connect(self) -> Stream:
        parts = conninfo_to_dict(self._url)
        host, port = str(parts.get("host", "localhost")), int(str(parts.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


class Proxy:
    """The ports of all workers, during the block. They lead to the server of `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._closing: set[asyncio.Task[None]] = set()
        self.ports: list[WorkerPort] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for port in tuple(self.ports):
            self.close(port)
        if self._closing:
            await asyncio.wait(self._closing)

    @property
    def links(self) -> list[Link]:
        """Every connection."""
        return [link for port in self.ports for link in port.links]

    def open(self) -> WorkerPort:
        """A port for one more worker."""
        port = WorkerPort(self._url)
        self.ports.append(port)
        return port

    def close(self, port: WorkerPort) -> None:
        """Close the port of a worker that has ended. Returns at once."""
        self.ports.remove(port)
        closing = asyncio.ensure_future(port.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def cut(self) -> None:
        """Cut every connection of every worker."""
        for port in self.ports:
            port.cut()

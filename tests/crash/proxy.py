"""A proxy between one worker and PostgreSQL, which counts the worker's requests and strikes at a given point.

A request is what the server acts on at once: messages up to a Sync or Flush, a simple query, a step of the log-in.
Each has two points: the request is lost (odd), or it is executed and its response is lost (even).

A strike cuts connections, or lets them *swallow*: bytes are accepted and dropped, and the connection stays open, as
when a firewall or a load balancer forgets it. Neither end learns that the other one has closed it.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

LOOPBACK = "127.0.0.1"
CHUNK = 65536
READY = b"Z\x00\x00\x00\x05"
ASKING = frozenset({b"Q", b"S", b"H", b"p", b"F", b"c", b"f"})
RESPONSES_WITHOUT_READY = frozenset({b"", b"p", b"H"})  # the steps of the log-in, and a Flush
TERMINATE = b"X"
SERVER_NOTICES = 3.0
"""Seconds after which the server's kernel ends a swallowed connection that its client has closed."""

Fate = Literal["passes", "lost", "response lost"]
Direction = Literal["to server", "to client"]
DIRECTIONS: tuple[Direction, ...] = ("to server", "to client")
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Request:
    """Messages that the server acts on together. `kind` is the type of the last one, empty for a startup packet."""

    kind: bytes
    data: bytes
    texts: dict[bytes, bytes]
    summary: str = "log in"


@dataclass(eq=False)
class Link:
    """One connection of the worker: its two ends, and the request whose response is lost."""

    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    doomed: Request | None = None
    texts: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    swallowed: frozenset[Direction] = frozenset()

    def cut(self) -> None:
        """End it as a broken network does, without closing it."""
        self.to_client.transport.abort()
        self.to_server.transport.abort()

    def swallow(self, directions: Iterable[Direction] = DIRECTIONS) -> None:
        """From now on accept what is sent in these directions, and drop it."""
        self.swallowed |= frozenset(directions)

    async def forward(self, direction: Direction, data: bytes) -> None:
        """Pass these bytes on, unless they are swallowed."""
        if direction in self.swallowed:
            return
        writer = self.to_server if direction == "to server" else self.to_client
        writer.write(data)
        await writer.drain()


class Proxy:
    """Listens on a port during the block, and forwards to the server of `url`."""

    def __init__(self, url: str) -> None:
        self._parts = conninfo_to_dict(url)
        self._given = url
        self._links: set[Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._point = 0
        self._strike: Callable[[], object] = self.cut
        self._armed = False
        self._struck_link: Link | None = None
        self._swallowed_by_new: frozenset[Direction] = frozenset()
        self.requests: int = 0
        self.struck: str | None = None

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        while self._serving:
            await asyncio.wait(set(self._serving))
        await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """The URL for the worker."""
        port = self._listener.sockets[0].getsockname()[1]
        return make_conninfo(self._given, host=LOOPBACK, port=port, sslmode="disable", gssencmode="disable")

    @property
    def points(self) -> int:
        """The number of the last point."""
        return 2 * self.requests

    def arm(self, point: int, strike: Callable[[], object]) -> None:
        """Count from here, and call `strike` at `point`, once. Point 0 never comes."""
        self._point, self._strike, self._armed = point, strike, True

    def strike(self, what: str, link: Link) -> bool:
        """The point has come: `what` was on the wire. Returns whether the connection stays open."""
        self.struck, self._struck_link = what, link
        self._strike()
        return bool(link.swallowed)

    def cut(self) -> None:
        """Cut every connection. New ones are accepted."""
        for link in tuple(self._links):
            link.cut()

    @property
    def links(self) -> tuple[Link, ...]:
        """Every connection."""
        return tuple(self._links)

    def swallow(
        self, directions: Iterable[Direction] = DIRECTIONS, *, alone: bool = False, also_new: bool = False
    ) -> None:
        """Let every connection swallow, or the struck one alone. New ones pass everything, except `also_new`."""
        struck = [self._struck_link] if self._struck_link is not None else []
        for link in struck if alone else self.links:
            link.swallow(directions)
        self._swallowed_by_new = frozenset(directions) if also_new else frozenset()

    def pass_new(self) -> None:
        """Let new connections pass everything again. Those that swallow remain so: a network does not restore them."""
        self._swallowed_by_new = frozenset()

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        serving = asyncio.ensure_future(self._serve(client, to_client))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await self._connect()
        link = Link(client, to_client, server, to_server)
        link.swallow(self._swallowed_by_new)
        self._links.add(link)
        pumps = [asyncio.ensure_future(pump(link)) for pump in (self._requests, self._responses)]
        try:
            await self._until_closed(link, *pumps)
        finally:
            self._links.discard(link)
            link.cut()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in (to_client, to_server):
                with suppress(OSError):
                    await writer.wait_closed()

    async def _until_closed(
        self, link: Link, requests: "asyncio.Future[None]", responses: "asyncio.Future[None]"
    ) -> None:
        """Wait until one end has closed the connection, and until the other one could know."""
        await asyncio.wait([requests, responses], return_when=asyncio.FIRST_COMPLETED)
        if responses.done() and "to client" in link.swallowed:
            await asyncio.wait([requests])
        elif requests.done() and "to server" in link.swallowed and self._listener.is_serving():
            await asyncio.wait([responses], timeout=SERVER_NOTICES)

    async def _connect(self) -> Stream:
        host, port = str(self._parts.get("host", "localhost")), int(str(self._parts.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _requests(self, link: Link) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            request = await _startup(link.client)
            while request.kind != TERMINATE:
                fate = self._fate(request)
                if fate == "lost" and not self._hit(request, fate, link):
                    return
                if fate == "response lost":
                    link.doomed = request
                await link.forward("to server", request.data)
                request = await _request(link)

    async def _responses(self, link: Link) -> None:
        with suppress(OSError):
            held = b""
            while data := await link.server.read(CHUNK):
                if link.doomed is None:
                    await link.forward("to client", data)
                    continue
                held += data
                if link.doomed.kind in RESPONSES_WITHOUT_READY or READY in held:
                    if not self._hit(link.doomed, "response lost", link):
                        return
                    link.doomed = None
                    await link.forward("to client", held)

    def _fate(self, request: Request) -> Fate:  # noqa: ARG002 - here only the number counts
        if not self._armed:
            return "passes"
        self.requests += 1
        if (self._point + 1) // 2 != self.requests:
            return "passes"
        return "lost" if self._point % 2 else "response lost"

    def _hit(self, request: Request, fate: Fate, link: Link) -> bool:
        return self.strike(f"{fate}: {request.summary}", link)


async def _startup(reader: asyncio.StreamReader) -> Request:
    head = await reader.readexactly(4)
    (length,) = struct.unpack("!i", head)
    return Request(b"", head + await reader.readexactly(length - 4), {})


async def _request(link: Link) -> Request:
    """The messages up to the one that the server answers."""
    request = Request(b"", b"", link.texts)
    while request.kind not in ASKING and request.kind != TERMINATE:
        head = await link.client.readexactly(5)
        kind, length = struct.unpack("!ci", head)
        body = await link.client.readexactly(length - 4)
        request.data += head + body
        request.kind = kind
        _summarise(request, kind, body)
    return request


def _summarise(request: Request, kind: bytes, body: bytes) -> None:
    """Keep the first line of the statement for the printed table."""
    if kind == b"Q":
        text = body
    elif kind == b"P":
        name, text, *_ = body.split(b"\x00")
        request.texts[name] = text
    elif kind == b"B":
        text = request.texts.get(body.split(b"\x00")[1], b"")
    else:
        return
    request.summary = " ".join(text.strip(b"\x00").decode(errors="replace").strip().splitlines()[0:1])[:70]

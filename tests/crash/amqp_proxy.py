"""A proxy between one worker and the broker, which counts AMQP frames and strikes at a given one.

Each frame of either side is a point, as each may be the last one that arrives: the broker does not receive a frame of
the worker, or the worker does not learn what the broker has done.
"""

import asyncio
import struct
from contextlib import suppress

from tests.crash.proxy import LOOPBACK, Direction, Link, Proxy, Stream
from tests.servicebus.control import Control

HEADER = b"AMQP"
HEADER_BYTES = 8
NAMES = {
    0x10: "open",
    0x11: "begin",
    0x12: "attach",
    0x13: "flow",
    0x14: "transfer",
    0x15: "disposition",
    0x16: "detach",
    0x17: "end",
    0x18: "close",
}
SMALL = (0x00, 0x53)  # a described type, whose descriptor is one byte


class BrokerProxy(Proxy):
    """Forwards to a broker during the block."""

    def __init__(self, broker: Control) -> None:
        super().__init__("")
        self._broker = broker

    @property
    def url(self) -> str:
        """The connection string for the worker."""
        port = self._listener.sockets[0].getsockname()[1]
        return self._broker.connection_string.replace(self._broker.address, f"{LOOPBACK}:{port}")

    @property
    def points(self) -> int:
        """The number of the last point."""
        return self.requests

    async def _connect(self) -> Stream:
        return await asyncio.open_connection(LOOPBACK, self._broker.port)

    async def _requests(self, link: Link) -> None:
        await self._forward(link, link.client, "to server", "lost")

    async def _responses(self, link: Link) -> None:
        await self._forward(link, link.server, "to client", "response lost")

    async def _forward(self, link: Link, reader: asyncio.StreamReader, direction: Direction, fate: str) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                if self._is_point() and not self.strike(f"{fate}: {_name(frame)}", link):
                    return
                await link.forward(direction, frame)

    def _is_point(self) -> bool:
        if self._armed:
            self.requests += 1
        return self._armed and self.requests == self._point


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One frame, or a header that precedes frames."""
    head = await reader.readexactly(len(HEADER))
    if head == HEADER:
        return head + await reader.readexactly(HEADER_BYTES - len(HEADER))
    (size,) = struct.unpack("!I", head)
    return head + await reader.readexactly(size - len(HEADER))


def _name(frame: bytes) -> str:
    """The name of a frame for the printed table."""
    body = frame[4 * frame[4] :]
    if frame.startswith(HEADER):
        return "header"
    if not body:
        return "empty frame"
    if tuple(body[:2]) != SMALL:
        return "frame"
    return NAMES.get(body[2], "log in")

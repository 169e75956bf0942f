"""One TCP connection: headers, SASL, open and close, and the frames of its sessions."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import frames
from .codec import Array, UByte, UInt, UShort
from .faults import Fault, FrameLostError
from .sessions import Session

if TYPE_CHECKING:
    from .server import Server

MAX_FRAME = 1024 * 1024
SMALLEST_FRAME = 512
WINDOW = 2**31 - 1


class Connection:
    """The broker's end of a connection that speaks AMQP."""

    def __init__(self, server: "Server", transport: asyncio.Transport) -> None:
        self.server = server
        self.transport = transport
        self.max_frame = SMALLEST_FRAME
        self.stalled = False
        self.sessions: dict[int, Session] = {}
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._greeted = False

    @property
    def alive(self) -> bool:
        """Whether anything sent on it can arrive."""
        return not self.stalled and not self.transport.is_closing()

    def received(self, data: bytes) -> None:
        """Handle every whole frame that has come."""
        if self.stalled:
            return
        if not self._greeted:
            self._greeted = True
            with contextlib.suppress(FrameLostError):
                self.suffer(self.server.faults.take("connect", None))
        self._buffer += data
        at = 0
        while self.alive and (size := self._size(at)) and len(self._buffer) - at >= size:
            whole = bytes(self._buffer[at : at + size])
            at += size
            with contextlib.suppress(FrameLostError):
                self._handle(whole)
        del self._buffer[:at]

    def _size(self, at: int) -> int:
        """The length of what starts at `at`; 0 where that cannot be told yet."""
        if len(self._buffer) - at < frames.FIXED:
            return 0
        if self._buffer.startswith(b"AMQP", at):
            return frames.FIXED
        return int.from_bytes(self._buffer[at : at + 4], "big")

    def _handle(self, data: bytes) -> None:
        if data.startswith(b"AMQP"):
            self._header(data)
            return
        offset, kind, channel = struct.unpack_from(">BBH", data, 4)
        if len(data) == 4 * offset:
            return
        code, fields, payload = frames.read(data[4 * offset :])
        if kind == 1:
            self._sasl(code)
        elif code == frames.TRANSFER and channel in self.sessions:
            self.sessions[channel].transferred(frames.Transfer(*fields), payload)
        elif channel in self.sessions and code not in {frames.END, frames.CLOSE}:
            self.sessions[channel].handle(code, fields)
        else:
            self._own(code, channel, fields)

    def _header(self, data: bytes) -> None:
        self.write(data)
        if data == frames.SASL_HEADER:
            self.send(0, frames.SASL_MECHANISMS, [Array.of_symbols(["ANONYMOUS"])], kind=1)

    def _sasl(self, code: int) -> None:
        if code == frames.SASL_INIT:
            self.send(0, frames.SASL_OUTCOME, [UByte(0)], kind=1)

    def _own(self, code: int, channel: int, fields: list[Any]) -> None:
        """What concerns the connection itself. Frames of sessions that ended are left alone: the SDK sends some."""
        if code == frames.OPEN:
            offered = fields[2] if len(fields) > 2 and fields[2] else MAX_FRAME
            self.max_frame = max(SMALLEST_FRAME, min(offered, MAX_FRAME))
            self.send(0, frames.OPEN, ["test-broker", None, UInt(MAX_FRAME), UShort(65535)])
        elif code == frames.BEGIN:
            self.sessions[channel] = Session(self, channel)
            self.send(channel, frames.BEGIN, [UShort(channel), UInt(1), UInt(WINDOW), UInt(WINDOW), UInt(65535)])
        elif code == frames.END and channel in self.sessions:
            self.sessions.pop(channel).lost()
            self.send(channel, frames.END, [])
        elif code == frames.CLOSE:
            self.send(0, frames.CLOSE, [])
            self._flush()
            self.transport.close()

    def send(self, channel: int, code: int, fields: list[Any], payload: bytes = b"", kind: int = 0) -> None:
        """Send one frame, with all others of this turn of the loop."""
        self.write(frames.frame(channel, code, fields, payload, kind))

    def write(self, data: bytes) -> None:
        """Send bytes with the next flush."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._out and self.alive:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Do it now, or later where a fault delays it."""
        if seconds:
            self._loop.call_later(seconds, what)
        else:
            what()

    def suffer(self, fault: Fault | None) -> None:
        """Break as the fault says. Raises FrameLostError where it is one that breaks the connection."""
        if fault and fault.kind == "drop":
            self.drop()
            raise FrameLostError
        if fault and fault.kind == "stall":
            self.stalled = True
            raise FrameLostError

    def drop(self) -> None:
        """Reset the TCP connection, with nothing flushed."""
        self._out.clear()
        self.transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        for session in self.sessions.values():
            session.lost()
        self.sessions.clear()

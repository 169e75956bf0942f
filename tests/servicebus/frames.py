"""Frames and performatives: what is said on a connection (OASIS AMQP 1.0, part 2)."""

import struct
from typing import Any, NamedTuple

from .codec import Described, Symbol, ULong, decode, encode, encode_list

AMQP_HEADER, SASL_HEADER = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
ERROR, SOURCE, TARGET = 0x1D, 0x28, 0x29
RECEIVED, ACCEPTED, REJECTED, RELEASED, MODIFIED = range(0x23, 0x28)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
SENDER, RECEIVER = False, True
FIXED = 8


class Attach(NamedTuple):
    """A link is asked for, or granted."""

    name: str
    handle: int
    role: bool
    snd_settle_mode: int | None = None
    rcv_settle_mode: int | None = None
    source: Described | None = None
    target: Described | None = None
    unsettled: Any = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[str, Any] | None = None


class Flow(NamedTuple):
    """Credit: how much more may be sent."""

    next_incoming_id: int | None = None
    incoming_window: int = 0
    next_outgoing_id: int = 0
    outgoing_window: int = 0
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool | None = None
    echo: bool | None = None
    properties: Any = None


class Transfer(NamedTuple):
    """A message, or a part of one."""

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool | None = None
    rcv_settle_mode: int | None = None
    state: Any = None
    resume: bool | None = None
    aborted: bool | None = None
    batchable: bool | None = None


class Disposition(NamedTuple):
    """What became of the deliveries from `first` to `last`."""

    role: bool
    first: int
    last: int | None = None
    settled: bool | None = None
    state: Described | None = None
    batchable: bool | None = None


def frame(channel: int, code: int, fields: list[Any], payload: bytes = b"", kind: int = 0) -> bytes:
    """One frame, ready to be sent. `kind` is 1 for SASL."""
    body = b"\x00\x53" + bytes((code,)) + encode_list(fields) + payload
    return struct.pack(">IBBH", FIXED + len(body), 2, kind, channel) + body


def read(data: bytes) -> tuple[int, list[Any], bytes]:
    """What a frame's body says: the performative's code, its fields and the payload behind it."""
    value, at = decode(data)
    if not isinstance(value, Described):
        raise ValueError("a frame without a performative")  # noqa: TRY004 - the data is wrong, not a call
    return int(value.code), value.value, data[at:]


def error(condition: str, description: str) -> Described:
    """All three fields are written: the SDK reads the third without looking whether it is there."""
    return Described(ERROR, [Symbol(condition), description, {}])


def outcome(code: int, *fields: Any) -> Described:
    """Say what became of a delivery."""
    return Described(code, list(fields))


def rejected(condition: str, description: str) -> Described:
    """A delivery that was refused, and why."""
    return Described(REJECTED, [error(condition, description)])


def bare(state: Described) -> bytes:
    """An outcome without what it carried: the form in which a settlement is confirmed."""
    return b"\x00" + encode(ULong(int(state.code))) + b"\x45"

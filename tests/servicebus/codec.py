"""The AMQP 1.0 type system: values to bytes and back (OASIS AMQP 1.0, part 1).

Python's int is an AMQP `int`; the other widths have classes here. What is read comes back as plain Python (an int of
any width is an int), except symbols and described values. `Raw` is a value left encoded: a message passes through the
broker without being decoded.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID


class Symbol(str):
    """A name from a fixed vocabulary."""

    __slots__ = ()


class UByte(int):
    """Unsigned, 8 bits."""


class UShort(int):
    """Unsigned, 16 bits."""


class UInt(int):
    """Unsigned, 32 bits."""


class ULong(int):
    """Unsigned, 64 bits."""


class Long(int):
    """Signed, 64 bits."""


class Timestamp(int):
    """Milliseconds since 1970 in UTC."""


class Raw(bytes):
    """A value that is encoded already."""


@dataclass(frozen=True, slots=True)
class Described:
    """A value and the code of its type."""

    code: int | str
    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """Values of one type: `constructor` is its byte, and each item has its width."""

    constructor: int
    items: list[bytes]

    @classmethod
    def of_symbols(cls, names: list[str]) -> "Array":
        """Short ones."""
        return cls(0xA3, [bytes((len(name),)) + name.encode("ascii") for name in names])

    @classmethod
    def of_longs(cls, values: list[int]) -> "Array":
        """Signed, 64 bits each."""
        return cls(0x81, [struct.pack(">q", value) for value in values])

    @classmethod
    def of_timestamps(cls, values: list[int]) -> "Array":
        """Milliseconds since 1970."""
        return cls(0x83, [struct.pack(">q", value) for value in values])


def encode(value: Any) -> bytes:
    """The bytes of one value. Raises TypeError where its class stands for no AMQP type."""
    try:
        encoder = ENCODERS[type(value)]
    except KeyError:
        raise TypeError(f"AMQP has no type for {value!r}") from None
    return encoder(value)


def _variable(short: int, data: bytes) -> bytes:
    size = len(data)
    return bytes((short, size)) + data if size < 256 else struct.pack(">BI", short + 0x10, size) + data


def _compound(short: int, count: int, data: bytes) -> bytes:
    size = len(data)
    if size < 255 and count < 256:
        return bytes((short, size + 1, count)) + data
    return struct.pack(">BII", short + 0x10, size + 4, count) + data


def _small(zero: int, short: int, long: int, width: str) -> Callable[[int], bytes]:
    pack = struct.Struct(f">B{width}").pack

    def encoder(value: int) -> bytes:
        if value == 0:
            return bytes((zero,))
        return bytes((short, value)) if value < 256 else pack(long, value)

    return encoder


def _signed(short: int, long: int, width: str) -> Callable[[int], bytes]:
    def encoder(value: int) -> bytes:
        return struct.pack(">Bb", short, value) if -128 <= value < 128 else struct.pack(f">B{width}", long, value)

    return encoder


def encode_list(values: list[Any]) -> bytes:
    """A list of values of any types, without the nulls at its end."""
    count = len(values)
    while count and values[count - 1] is None:
        count -= 1
    return _compound(0xC0, count, b"".join([encode(value) for value in values[:count]])) if count else b"\x45"


def _array(value: Array) -> bytes:
    data = bytes((value.constructor,)) + b"".join(value.items)
    return struct.pack(">BII", 0xF0, len(data) + 4, len(value.items)) + data


def _map(value: dict[Any, Any]) -> bytes:
    return _compound(0xC1, 2 * len(value), b"".join([encode(key) + encode(item) for key, item in value.items()]))


def _described(value: Described) -> bytes:
    code = Symbol(value.code) if isinstance(value.code, str) else ULong(value.code)
    return b"\x00" + encode(code) + encode(value.value)


ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    UByte: lambda value: bytes((0x50, value)),
    UShort: lambda value: struct.pack(">BH", 0x60, value),
    UInt: _small(0x43, 0x52, 0x70, "I"),
    ULong: _small(0x44, 0x53, 0x80, "Q"),
    int: _signed(0x54, 0x71, "i"),
    Long: _signed(0x55, 0x81, "q"),
    float: lambda value: struct.pack(">Bd", 0x82, value),
    Timestamp: lambda value: struct.pack(">Bq", 0x83, value),
    UUID: lambda value: b"\x98" + value.bytes,
    bytes: lambda value: _variable(0xA0, value),
    str: lambda value: _variable(0xA1, value.encode()),
    Symbol: lambda value: _variable(0xA3, value.encode()),
    Raw: bytes,
    list: encode_list,
    dict: _map,
    Array: _array,
    Described: _described,
}


Decoder = Callable[[bytes, int], tuple[Any, int]]


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that starts at `at`, and where the next one starts. Raises ValueError where the bytes are no AMQP."""
    try:
        return DECODERS[data[at]](data, at + 1)
    except (KeyError, IndexError, struct.error) as error:
        raise ValueError(f"no AMQP value at byte {at}: {data[at : at + 16].hex(' ')}") from error


WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def skip(data: bytes, at: int) -> int:
    """Where the value that starts at `at` ends, without reading it."""
    constructor = data[at]
    if constructor == 0:
        return skip(data, skip(data, at + 1))
    kind = constructor >> 4
    if kind in WIDTHS:
        return at + 1 + WIDTHS[kind]
    if kind in {0xA, 0xC, 0xE}:
        return at + 2 + data[at + 1]
    return at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")


def _fixed(form: str) -> Decoder:
    reader = struct.Struct(f">{form}")

    def decoder(data: bytes, at: int) -> tuple[Any, int]:
        return reader.unpack_from(data, at)[0], at + reader.size

    return decoder


def _constant(value: Any) -> Decoder:
    return lambda _, at: (value, at)


def _uuid(data: bytes, at: int) -> tuple[UUID, int]:
    return UUID(bytes=bytes(data[at : at + 16])), at + 16


def _text(width: int, read: Callable[[bytes], Any]) -> Decoder:
    def decoder(data: bytes, at: int) -> tuple[Any, int]:
        start = at + width
        end = start + int.from_bytes(data[at:start], "big")
        return read(data[start:end]), end

    return decoder


def _items(data: bytes, at: int, width: int) -> tuple[list[Any], int]:
    count = int.from_bytes(data[at + width : at + 2 * width], "big")
    at += 2 * width
    found: list[Any] = []
    for _ in range(count):
        value, at = decode(data, at)
        found.append(value)
    return found, at


def _list_of(width: int) -> Decoder:
    return lambda data, at: _items(data, at, width)


def _map_of(width: int) -> Decoder:
    def decoder(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
        flat, end = _items(data, at, width)
        return dict(zip(flat[::2], flat[1::2], strict=True)), end

    return decoder


def _array_of(width: int) -> Decoder:
    def decoder(data: bytes, at: int) -> tuple[list[Any], int]:
        count = int.from_bytes(data[at + width : at + 2 * width], "big")
        constructor = data[at + 2 * width]
        at += 2 * width + 1
        found: list[Any] = []
        for _ in range(count):
            value, at = DECODERS[constructor](data, at)
            found.append(value)
        return found, at

    return decoder


def _described_at(data: bytes, at: int) -> tuple[Described, int]:
    code, at = decode(data, at)
    value, at = decode(data, at)
    return Described(code, value), at


def _symbol(data: bytes) -> Symbol:
    return Symbol(data, "ascii")


def _string(data: bytes) -> str:
    return str(data, "utf-8")


DECODERS: dict[int, Decoder] = {
    0x00: _described_at,
    0x40: _constant(None),
    0x41: _constant(value=True),
    0x42: _constant(value=False),
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: lambda _, at: ([], at),
    0x50: _fixed("B"),
    0x51: _fixed("b"),
    0x52: _fixed("B"),
    0x53: _fixed("B"),
    0x54: _fixed("b"),
    0x55: _fixed("b"),
    0x56: _fixed("?"),
    0x60: _fixed("H"),
    0x61: _fixed("h"),
    0x70: _fixed("I"),
    0x71: _fixed("i"),
    0x72: _fixed("f"),
    0x73: _fixed("I"),
    0x80: _fixed("Q"),
    0x81: _fixed("q"),
    0x82: _fixed("d"),
    0x83: _fixed("q"),
    0x98: _uuid,
    0xA0: _text(1, bytes),
    0xA1: _text(1, _string),
    0xA3: _text(1, _symbol),
    0xB0: _text(4, bytes),
    0xB1: _text(4, _string),
    0xB3: _text(4, _symbol),
    0xC0: _list_of(1),
    0xC1: _map_of(1),
    0xD0: _list_of(4),
    0xD1: _map_of(4),
    0xE0: _array_of(1),
    0xF0: _array_of(4),
}

"""A message on its way through the broker: its sections stay encoded, only what the broker acts on is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .codec import Described, Raw, Symbol, UByte, UInt, decode, encode, skip

HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x71, 0x72, 0x73, 0x74
DATA, VALUE = 0x75, 0x77
BATCH_FORMAT = 0x80013700
SCHEDULED_FOR = Symbol("x-opt-scheduled-enqueue-time")
DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"


@dataclass(slots=True)
class Content:
    """What a sender wrote. Annotations and application properties map each key to its value, still encoded."""

    message_id: Any
    ttl: float | None
    """Seconds; None: for ever."""
    annotations: dict[Any, Raw]
    properties: bytes
    application_properties: bytes
    body: bytes

    @property
    def scheduled_for(self) -> float | None:
        """When it is to become available, in seconds since 1970."""
        found = self.annotations.get(SCHEDULED_FOR)
        value = decode(found)[0] if found else None
        return None if value is None else value / 1000

    def dead_lettered(self, reason: str | None, description: str | None) -> "Content":
        """The same with the two application properties that say why."""
        told = {DEAD_LETTER_REASON: reason, DEAD_LETTER_DESCRIPTION: description}
        known = self._raw_application_properties() | {
            key: Raw(encode(value)) for key, value in told.items() if value is not None
        }
        section = b"\x00\x53\x74" + encode(known)
        return Content(self.message_id, None, self.annotations, self.properties, section, self.body)

    def read_application_properties(self) -> dict[Any, Any]:
        """The application properties as Python values."""
        return {key: decode(value)[0] for key, value in self._raw_application_properties().items()}

    def _raw_application_properties(self) -> dict[Any, Raw]:
        section = self.application_properties
        return raw_map(section[decode(section, 1)[1] :]) if section else {}

    def encoded(self, delivery_count: int, annotations: dict[Any, Any]) -> bytes:
        """The message as a receiver is to read it."""
        ttl = None if self.ttl is None else UInt(self.ttl * 1000)
        header = encode([True, UByte(4), ttl, None, UInt(delivery_count)])
        marks = encode({**self.annotations, **annotations})
        rest = (self.properties, self.application_properties, self.body)
        return b"".join((b"\x00\x53\x70", header, b"\x00\x53\x72", marks, *rest))


def sections(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each section: its code, where it starts, where its value starts, where it ends."""
    at = 0
    while at < len(data):
        if data[at] != 0:
            raise ValueError(f"no section at byte {at} of a message")
        code, value = decode(data, at + 1)
        end = skip(data, value)
        yield code, at, value, end
        at = end


def raw_map(data: bytes) -> dict[Any, Raw]:
    """An encoded map, its keys read and its values left as they are."""
    wide = data[0] == 0xD1
    at = 9 if wide else 3
    pairs = int.from_bytes(data[5:9] if wide else data[2:3], "big") // 2
    found: dict[Any, Raw] = {}
    for _ in range(pairs):
        key, at = decode(data, at)
        end = skip(data, at)
        found[key] = Raw(data[at:end])
        at = end
    return found


def content(data: bytes) -> Content:
    """One message as it came over the wire. Raises ValueError where it is malformed."""
    message = Content(None, None, {}, b"", b"", b"")
    body = len(data)
    for code, start, value, end in sections(data):
        if code == HEADER:
            fields = decode(data, value)[0]
            message.ttl = fields[2] / 1000 if len(fields) > 2 and fields[2] is not None else None
        elif code == ANNOTATIONS:
            message.annotations = raw_map(data[value:end])
        elif code == PROPERTIES:
            message.properties = data[start:end]
            message.message_id = _first(data, value)
        elif code == APPLICATION_PROPERTIES:
            message.application_properties = data[start:end]
        elif code != DELIVERY_ANNOTATIONS:
            body = start
            break
    message.body = data[body:]
    return message


def _first(data: bytes, at: int) -> Any:
    """The first item of the list at `at`."""
    constructor = data[at]
    if constructor == 0x45:
        return None
    return decode(data, at + (3 if constructor == 0xC0 else 9))[0]


def batch(data: bytes) -> list[bytes]:
    """The messages of a batch: each of its data sections is one of them."""
    return [decode(data, value)[0] for code, _, value, _ in sections(data) if code == DATA]


@dataclass(slots=True)
class Request:
    """A message to `$cbs` or `$management`, read in full."""

    body: Any = None
    message_id: Any = None
    reply_to: str | None = None
    application_properties: dict[str, Any] = field(default_factory=dict[str, Any])


def request(data: bytes) -> Request:
    """Read the parts of a request."""
    found = Request()
    for code, _, value, _ in sections(data):
        read = decode(data, value)[0]
        if code == PROPERTIES:
            padded = [*read, *[None] * 5]
            found.message_id, found.reply_to = padded[0], padded[4]
        elif code == APPLICATION_PROPERTIES:
            found.application_properties = read
        elif code in {DATA, VALUE}:
            found.body = read
    return found


def response(to: Request, application_properties: dict[str, Any], body: Any) -> bytes:
    """Answer a request: its message-id becomes the correlation-id, of the same type."""
    properties = [None, None, None, None, None, to.message_id]
    parts = ((PROPERTIES, properties), (APPLICATION_PROPERTIES, application_properties), (VALUE, body))
    return b"".join([encode(Described(code, value)) for code, value in parts])

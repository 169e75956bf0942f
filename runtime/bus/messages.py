"""Messages as they are sent through a broker, and how they are read. They carry ids, never payloads.

This module does not receive or settle messages, and does not read the database.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

Kind = Literal["job", "task", "callback"]
KINDS: tuple[Kind, ...] = ("job", "task", "callback")
VERSION = 1
LARGEST = 4_096
KEY_LENGTH = 64
LARGEST_INT = 2**31 - 1
LARGEST_TO_NAME_A_JOB = 1_048_576
CHECK = b'{"v":1,"kind":"check"}'
"""The body of a message that `coremachine bus check` sends: a worker that receives one only completes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRef:
    """The content of a message: a row, and its lease number when the message was sent."""

    kind: Kind
    key: str
    job_id: str
    lease_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message to be sent, in `delay` seconds; 0 or less is at once."""

    ref: MessageRef
    send_number: int
    delay: float = 0.0

    @property
    def message_id(self) -> str:
        """The same for each try to send it, so that a broker can drop copies; a new one when it is sent again later."""
        return f"{self.ref.kind}:{self.ref.key}:{self.ref.lease_number}:{self.send_number}"

    @property
    def body(self) -> bytes:
        """The ref as JSON."""
        ref = self.ref
        data = {"kind": ref.kind, "key": ref.key, "job_id": ref.job_id, "lease_number": ref.lease_number}
        return json.dumps({"v": VERSION, **data}, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A received message: `delivery_count` counts earlier deliveries; its broker settles it by its `receipt`."""

    message_id: str
    body: bytes
    delivery_count: int = 0
    queue: str = ""
    properties: Mapping[str, object] = field(default_factory=dict[str, object])
    locked_until: datetime | None = None
    receipt: Any = field(default=None, repr=False)


class UnreadableMessageError(Exception):
    """A message has no valid ref. Carries `reason`, a short name, and `description`."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        self.description = description
        super().__init__(f"{reason}: {description}")


def read_message_ref(received: ReceivedMessage) -> MessageRef:
    """The ref in a message. Raises UnreadableMessageError."""
    if len(received.body) > LARGEST:
        raise UnreadableMessageError("Oversized", f"{len(received.body)} bytes, at most {LARGEST} are read")
    try:
        data: object = json.loads(received.body)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError("NotJson", f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UnreadableMessageError("NotAMessage", f"the body is a JSON {type(data).__name__}, not an object")
    return _ref(cast("dict[str, object]", data))


def is_check(received: ReceivedMessage) -> bool:
    """Whether a message came from a check of its queue."""
    return received.body == CHECK


def job_id_of_body(received: ReceivedMessage) -> str | None:
    """The job that a message names, even if the rest is invalid: only to record the message there, never to claim."""
    if len(received.body) > LARGEST_TO_NAME_A_JOB:
        return None
    try:
        data: object = json.loads(received.body)
    except (ValueError, RecursionError):
        return None
    job_id = cast("dict[str, object]", data).get("job_id") if isinstance(data, dict) else None
    return str(job_id) if _is_id(job_id) else None


def _ref(data: dict[str, object]) -> MessageRef:
    if data.get("v") != VERSION:
        raise UnreadableMessageError("UnknownVersion", f"version {data.get('v')!r}; this release reads {VERSION}")
    kind: Kind | None = next((one for one in KINDS if one == data.get("kind")), None)
    if kind is None:
        raise UnreadableMessageError("UnknownKind", f"kind {data.get('kind')!r}; known are {', '.join(KINDS)}")
    key, job_id, number = data.get("key"), data.get("job_id"), data.get("lease_number")
    if not (_is_id(key) and _is_id(job_id)):
        raise UnreadableMessageError("NotAMessage", f"key {key!r} and job_id {job_id!r} are not both ids")
    if kind == "callback" and not str(key).isdecimal():
        raise UnreadableMessageError("NotAMessage", f"key {key!r} is not the number of a callback")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST_INT:
        raise UnreadableMessageError("NotAMessage", f"lease_number {number!r} is not a count")
    return MessageRef(kind=kind, key=str(key), job_id=str(job_id), lease_number=number)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= KEY_LENGTH and value.isascii() and value.isprintable()

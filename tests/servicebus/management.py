"""`$management`: what is asked of a queue other than by sending and settling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .codec import Array, Symbol
from .faults import Fault
from .messages import Request, content, response
from .queues import LockLostError, Queue
from .settlement import LOCK_LOST, STATUSES, Settlement

if TYPE_CHECKING:
    from .requests import Requests

OK, NO_CONTENT, GONE, NOT_FOUND, BAD_REQUEST, BUSY = 200, 204, 410, 404, 400, 503
MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
PREFIX = "com.microsoft:"


@dataclass(frozen=True)
class Answer:
    """A status and what goes with it."""

    status: int
    body: dict[Any, Any]
    description: str = "OK"
    condition: str | None = None


def manage(link: "Requests", asked: Request, fault: Fault | None) -> bytes:
    """The encoded answer to one request."""
    answer = _answer(link, asked, fault)
    properties: dict[str, Any] = {"statusCode": answer.status, "statusDescription": answer.description}
    if answer.condition:
        properties["errorCondition"] = Symbol(answer.condition)
    return response(asked, properties, answer.body)


def _answer(link: "Requests", asked: Request, fault: Fault | None) -> Answer:
    queue = link.server.queue(link.queue_name or "")
    name = str(asked.application_properties.get("operation", ""))
    operation = OPERATIONS.get(name.removeprefix(PREFIX))
    if fault and fault.kind == "throttle":
        return Answer(BUSY, {}, fault.description, fault.condition)
    if not queue or not operation:
        return Answer(BAD_REQUEST, {}, f"no operation {name!r} on {link.node}", "amqp:not-implemented")
    try:
        return operation(queue, asked.body or {}, link)
    except LockLostError as error:
        return Answer(GONE, {}, str(error), LOCK_LOST)
    except KeyError as error:
        return Answer(NOT_FOUND, {}, f"no such message: {error}", MESSAGE_NOT_FOUND)


def _renew_lock(queue: Queue, body: dict[str, Any], _: object) -> Answer:
    until = [int(queue.renew(token.bytes_le) * 1000) for token in body["lock-tokens"]]
    return Answer(OK, {"expirations": Array.of_timestamps(until)})


def _update_disposition(queue: Queue, body: dict[str, Any], _: object) -> Answer:
    reason, description = body.get("deadletter-reason"), body.get("deadletter-description")
    settlement = Settlement(STATUSES[str(body["disposition-status"])], reason=reason, description=description)
    for token in body["lock-tokens"]:
        settlement.carry_out(queue, token.bytes_le)
    queue.pump()
    return Answer(OK, {})


def _schedule_message(queue: Queue, body: dict[str, Any], _: object) -> Answer:
    taken = [queue.enqueue(content(bytes(entry["message"]))) for entry in body["messages"]]
    queue.pump()
    return Answer(OK, {"sequence-numbers": Array.of_longs([message.sequence if message else 0 for message in taken])})


def _cancel_scheduled(queue: Queue, body: dict[str, Any], _: object) -> Answer:
    queue.cancel(body["sequence-numbers"])
    return Answer(OK, {})


def _peek_message(queue: Queue, body: dict[str, Any], _: object) -> Answer:
    found = queue.peek(body["from-sequence-number"], body["message-count"])
    if not found:
        return Answer(NO_CONTENT, {}, "no messages")
    return Answer(OK, {"messages": [{"message": message.encoded()} for message in found]})


def _receive_by_number(queue: Queue, body: dict[str, Any], link: "Requests") -> Answer:
    found = queue.deferred(body["sequence-numbers"])
    deletes = body["receiver-settle-mode"] == 0
    entries: list[dict[str, Any]] = []
    for message in found:
        queue.take(message, link.session, deletes=deletes)
        token = {"lock-token": UUID(bytes_le=message.lock)} if message.lock else {}
        entries.append({**token, "message": message.encoded()})
    return Answer(OK, {"messages": entries})


OPERATIONS: dict[str, Callable[[Queue, dict[str, Any], "Requests"], Answer]] = {
    "renew-lock": _renew_lock,
    "update-disposition": _update_disposition,
    "schedule-message": _schedule_message,
    "cancel-scheduled-message": _cancel_scheduled,
    "peek-message": _peek_message,
    "receive-by-sequence-number": _receive_by_number,
}

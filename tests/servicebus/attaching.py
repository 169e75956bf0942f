"""How a link is granted or refused."""

from typing import TYPE_CHECKING, Any

from . import frames
from .codec import Described, UByte, UInt, ULong
from .deliveries import Deliveries
from .frames import Attach
from .links import CBS, MANAGEMENT, NOT_FOUND, Link, node_of
from .requests import Replies, Requests
from .sends import Sends

if TYPE_CHECKING:
    from .sessions import Session


def attached(session: "Session", attach: Attach) -> Link | None:
    """Grant a link, or refuse it by an answer without source and target, closed at once with the reason."""
    gives = attach.role == frames.RECEIVER
    node = node_of(attach.source if gives else attach.target)
    link = _link(session, attach, node)
    if link is None:
        _refuse(session, attach, NOT_FOUND, f"The messaging entity '{node}' could not be found.")
        return None
    fault = session.connection.server.faults.take("attach", link.queue_name)
    session.connection.suffer(fault)
    if fault and fault.kind in {"detach", "throttle"}:
        _refuse(session, attach, fault.condition, fault.description)
        return None
    biggest = session.connection.server.max_message_size(link.queue_name)
    _answer(session, attach, attach.source, attach.target, biggest)
    return link


def _link(session: "Session", attach: Attach, node: str) -> Link | None:
    gives = attach.role == frames.RECEIVER
    queue = session.connection.server.queue(node.removesuffix(f"/{MANAGEMENT}"))
    if node == CBS or (queue and node.endswith(MANAGEMENT)):
        return Replies(session, attach, node) if gives else Requests(session, attach, node)
    if queue:
        return Deliveries(session, attach, node, queue) if gives else Sends(session, attach, node, queue)
    return None


def _refuse(session: "Session", attach: Attach, condition: str, description: str) -> None:
    _answer(session, attach, None, None, 0)
    session.send(frames.DETACH, [UInt(attach.handle), True, frames.error(condition, description)])


def _answer(
    session: "Session", attach: Attach, source: Described | None, target: Described | None, biggest: int
) -> None:
    """Say that the link is there; source and target are echoed as they came."""
    gives = attach.role == frames.RECEIVER
    fields: list[Any] = [
        attach.name,
        UInt(attach.handle),
        not attach.role,
        UByte(attach.snd_settle_mode or 0),
        UByte(attach.rcv_settle_mode or 0),
        source,
        target,
        None,
        None,
        UInt(0) if gives else None,
        ULong(biggest) if biggest else None,
    ]
    session.send(frames.ATTACH, fields)

"""What every kind of link has in common."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import frames
from .codec import Described, UInt
from .faults import Fault, FrameLostError, Point
from .frames import Attach, Flow, Transfer

if TYPE_CHECKING:
    from .sessions import Session

CBS, MANAGEMENT = "$cbs", "$management"
NOT_FOUND = "amqp:not-found"


class Link:
    """The broker's end of a link to `node`; `queue` is the name of the queue that it concerns, if any."""

    def __init__(self, session: "Session", attach: Attach, node: str) -> None:
        self.session = session
        self.attach = attach
        self.handle = attach.handle
        self.node = node
        self.queue_name = None if node == CBS else node.removesuffix(f"/{MANAGEMENT}")
        self.server = session.connection.server

    def opened(self) -> None:
        """The client has been told that the link is there."""

    def transferred(self, transfer: Transfer, payload: bytes) -> None:
        """A message, or a part of one, has come."""
        raise ValueError(f"a message came on a link that only gives: {self.node} {transfer} {len(payload)}")

    def flowed(self, flow: Flow) -> None:
        """The client tells of its credit."""
        if flow.echo:
            self.session.flow(UInt(self.handle))

    def lost(self) -> None:
        """The link is gone."""

    def detach(self, condition: str, description: str) -> None:
        """Close it, telling the client why."""
        self.session.links.pop(self.handle, None)
        self.lost()
        self.session.send(frames.DETACH, [UInt(self.handle), True, frames.error(condition, description)])

    def struck(self, at: Point, queue: str | None) -> Fault | None:
        """The fault set for this point and queue. Raises FrameLostError where it breaks the link or its connection."""
        fault = self.server.faults.take(at, queue)
        self.session.connection.suffer(fault)
        if fault and fault.kind == "detach":
            self.detach(fault.condition, fault.description)
            raise FrameLostError
        return fault


def node_of(terminus: Described | None) -> str:
    """The name in an address, which may be a whole URL."""
    return node_named(str(terminus.value[0])) if terminus and terminus.value else ""


def node_named(address: str) -> str:
    """The name in an address as text."""
    path = urlsplit(address).path if "://" in address else address
    return path.strip("/")

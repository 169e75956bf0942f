"""One session: its links, the numbers of its deliveries and what becomes of them."""

from typing import TYPE_CHECKING, Any, Protocol

from . import frames
from .attaching import attached
from .codec import UInt
from .frames import Attach, Disposition, Flow, Transfer
from .settlement import Settlement

if TYPE_CHECKING:
    from .connections import Connection
    from .links import Link


class Answering(Protocol):
    """A link whose deliveries the client settles."""

    def settled(self, delivery: int, lock: bytes, settlement: Settlement, *, reply: bool) -> None:
        """The client says what became of a delivery; with `reply`, it waits to hear that this was done."""
        ...


class Session:
    """The broker's end of a session; it uses the client's channel and handle numbers as its own."""

    def __init__(self, connection: "Connection", channel: int) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.unsettled: dict[int, tuple[Answering, bytes]] = {}
        self._delivery = 0

    def handle(self, code: int, fields: list[Any]) -> None:
        """A frame of this session, other than a transfer."""
        if code == frames.ATTACH:
            self._attach(Attach(*fields))
        elif code == frames.FLOW:
            self._flow(Flow(*fields))
        elif code == frames.DISPOSITION:
            self._disposed(Disposition(*fields))
        elif code == frames.DETACH and (link := self.links.pop(fields[0], None)):
            link.lost()
            self.send(frames.DETACH, [UInt(link.handle), True])

    def transferred(self, transfer: Transfer, payload: bytes) -> None:
        """A message, or a part of one, from the client. Those for links that are gone are dropped."""
        if link := self.links.get(transfer.handle):
            link.transferred(transfer, payload)

    def _attach(self, attach: Attach) -> None:
        link = attached(self, attach)
        if link:
            self.links[link.handle] = link
            link.opened()

    def _flow(self, flow: Flow) -> None:
        link = self.links.get(flow.handle) if flow.handle is not None else None
        if link:
            link.flowed(flow)
        elif flow.echo:
            self.flow()

    def _disposed(self, disposition: Disposition) -> None:
        """Each delivery is settled apart: one may have lost its lock while its neighbours have not."""
        if disposition.role != frames.RECEIVER:
            return
        settlement = Settlement.of(disposition.state)
        last = disposition.first if disposition.last is None else disposition.last
        for delivery in range(disposition.first, last + 1):
            if known := self.unsettled.get(delivery):
                link, lock = known
                link.settled(delivery, lock, settlement, reply=not disposition.settled)

    def flow(self, *link: Any) -> None:
        """Tell the session's windows, and a link's credit: handle, delivery-count, credit, available, drain, echo."""
        window = UInt(2**31 - 1)
        self.send(frames.FLOW, [UInt(0), window, UInt(self._delivery), window, *link])

    def next_delivery(self) -> int:
        """The number of the next delivery to the client."""
        self._delivery += 1
        return self._delivery

    def dispose(self, role: bool, delivery: int, state: Any) -> None:  # noqa: FBT001 - a role is a boolean in AMQP
        """Tell the client what became of a delivery; that settles it."""
        self.send(frames.DISPOSITION, [role, UInt(delivery), UInt(delivery), True, state])

    def send(self, code: int, fields: list[Any], payload: bytes = b"") -> None:
        """Send a frame on this session's channel."""
        self.connection.send(self.channel, code, fields, payload)

    def lost(self) -> None:
        """The session is gone, with its links."""
        for link in self.links.values():
            link.lost()
        self.links.clear()
        self.unsettled.clear()

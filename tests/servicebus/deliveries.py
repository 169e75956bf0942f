"""A client receives from a queue."""

from typing import TYPE_CHECKING, Any

from . import frames
from .codec import UInt
from .entities import Message
from .faults import FrameLostError
from .frames import Attach, Flow
from .links import Link
from .queues import LockLostError, Queue
from .settlement import LOCK_LOST, Settlement

if TYPE_CHECKING:
    from .sessions import Session

PRE_SETTLED = 1
FRAME_OVERHEAD = 256


class Giving(Link):
    """The broker's end of a receiver's link: what was given, and how much more may be."""

    def __init__(self, session: "Session", attach: Attach, node: str) -> None:
        super().__init__(session, attach, node)
        self.credit = 0
        self._given = 0

    def flowed(self, flow: Flow) -> None:
        """Take the credit; with drain, use it up."""
        since = (self._given - (flow.delivery_count or 0)) & 0xFFFFFFFF
        self.credit = max(0, (flow.link_credit or 0) - since)
        self.credited()
        if flow.drain:
            self._given, self.credit = (self._given + self.credit) & 0xFFFFFFFF, 0
        if flow.drain or flow.echo:
            state = [UInt(self.handle), UInt(self._given), UInt(self.credit), None, bool(flow.drain)]
            self.session.flow(*state)

    def credited(self) -> None:
        """More may be sent."""

    def give(self, tag: bytes, data: bytes, *, settled: bool) -> int:
        """Send a message, in as many frames as it takes; its delivery number."""
        self.credit -= 1
        self._given = (self._given + 1) & 0xFFFFFFFF
        delivery = self.session.next_delivery()
        room = self.session.connection.max_frame - FRAME_OVERHEAD
        first: list[Any] = [UInt(self.handle), UInt(delivery), tag, UInt(0), settled, len(data) > room]
        self.session.send(frames.TRANSFER, first, data[:room])
        for at in range(room, len(data), room):
            more = [UInt(self.handle), None, None, None, settled, at + room < len(data)]
            self.session.send(frames.TRANSFER, more, data[at : at + room])
        return delivery


class Deliveries(Giving):
    """The link of a receiver from a queue, which locks what it is given, or removes it."""

    def __init__(self, session: "Session", attach: Attach, node: str, queue: Queue) -> None:
        super().__init__(session, attach, node)
        self.queue = queue
        self.deletes = attach.snd_settle_mode == PRE_SETTLED
        self._tags = 0

    def opened(self) -> None:
        """Join those that the queue hands its messages to."""
        self.queue.consumers.append(self)

    def lost(self) -> None:
        """Leave them."""
        if self in self.queue.consumers:
            self.queue.consumers.remove(self)
        self.queue.link_lost(self)

    def credited(self) -> None:
        """Take what there is."""
        self.queue.pump()

    def wants(self) -> bool:
        """Say whether it has credit."""
        return self.credit > 0 and self.session.connection.alive

    def newest_first(self) -> bool:
        """Say whether a fault upsets the order."""
        return self.server.faults.take("deliver", self.queue_name, "reorder") is not None

    def deliver(self, message: Message) -> None:
        """Send a message, unless a fault takes it: then it stays locked, as one does that was lost on its way."""
        try:
            fault = self.struck("deliver", self.queue_name)
        except FrameLostError:
            return
        self._tags += 1
        tag = message.lock or self._tags.to_bytes(16, "big")
        if fault and fault.kind == "delay":
            self.credit -= 1
            self.session.connection.after(fault.seconds, lambda: self._late(tag, message))
        else:
            self._send(tag, message)

    def _late(self, tag: bytes, message: Message) -> None:
        self.credit += 1
        if self.session.links.get(self.handle) is self:
            self._send(tag, message)

    def _send(self, tag: bytes, message: Message) -> None:
        delivery = self.give(tag, message.encoded(), settled=self.deletes)
        if not self.deletes:
            self.session.unsettled[delivery] = (self, tag)

    def settled(self, delivery: int, lock: bytes, settlement: Settlement, *, reply: bool) -> None:
        """Carry out what the client said of a delivery, and confirm it."""
        fault = self.struck("settle", self.queue_name)
        del self.session.unsettled[delivery]
        try:
            settlement.carry_out(self.queue, lock)
            state = settlement.confirmation
        except LockLostError as error:
            state = frames.rejected(LOCK_LOST, str(error))
        if fault and fault.kind == "lose_reply":
            if fault.drop:
                self.session.connection.drop()
        elif reply:
            seconds = fault.seconds if fault else 0.0
            self.session.connection.after(seconds, lambda: self.session.dispose(frames.SENDER, delivery, state))
        self.queue.pump()

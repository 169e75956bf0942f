"""A client sends to a queue."""

from typing import TYPE_CHECKING

from . import frames
from .codec import UInt
from .faults import Fault
from .frames import Attach, Transfer
from .links import Link
from .messages import BATCH_FORMAT, Content, batch, content
from .queues import Queue

if TYPE_CHECKING:
    from .sessions import Session

CREDIT = 1000
TOO_BIG = "amqp:link:message-size-exceeded"


class Sends(Link):
    """The broker's end of a sender's link."""

    def __init__(self, session: "Session", attach: Attach, node: str, queue: Queue) -> None:
        super().__init__(session, attach, node)
        self.queue = queue
        self._parts: list[bytes] = []
        self._first: Transfer | None = None
        self._count = attach.initial_delivery_count or 0
        self._credit = 0

    def opened(self) -> None:
        """Let the client send; it is given more before it runs out."""
        self._credit = CREDIT
        self.session.flow(UInt(self.handle), UInt(self._count), UInt(CREDIT))

    def transferred(self, transfer: Transfer, payload: bytes) -> None:
        """Collect the parts of a delivery, then take it in."""
        self._first = self._first or transfer
        self._parts.append(payload)
        if transfer.more:
            return
        first, data = self._first, b"".join(self._parts)
        self._first = None
        self._parts.clear()
        self._count = (self._count + 1) & 0xFFFFFFFF
        self._credit -= 1
        if self._credit < CREDIT // 2:
            self.opened()
        if not transfer.aborted:
            self._taken_in(first, data, settled=bool(first.settled or transfer.settled))

    def _taken_in(self, first: Transfer, data: bytes, *, settled: bool) -> None:
        fault = self.struck("send", self.queue_name)
        if fault and fault.kind == "throttle":
            self.queue.counters.rejected += 1
            self._reply(first, settled=settled, refusal=(fault.condition, fault.description))
            return
        if len(data) > self.queue.settings.max_message_size:
            self.queue.counters.rejected += 1
            told = f"A message of {len(data)} bytes; {self.node} takes {self.queue.settings.max_message_size}."
            self._reply(first, settled=settled, refusal=(TOO_BIG, told))
            return
        contents = [content(one) for one in batch(data)] if first.message_format == BATCH_FORMAT else [content(data)]
        self._enqueue(contents, fault)
        if fault and fault.kind == "lose_reply":
            self._lose(fault)
        else:
            seconds = fault.seconds if fault else 0.0
            self.session.connection.after(seconds, lambda: self._reply(first, settled=settled))
        self.queue.pump()

    def _enqueue(self, contents: list[Content], fault: Fault | None) -> None:
        for each in contents:
            self.queue.enqueue(each)
            if fault and fault.kind == "duplicate":
                for _ in range(fault.copies - 1):
                    self.queue.put(each)

    def _lose(self, fault: Fault) -> None:
        if fault.drop:
            self.session.connection.drop()

    def _reply(self, first: Transfer, *, settled: bool, refusal: tuple[str, str] | None = None) -> None:
        if settled or first.delivery_id is None:
            return
        state = frames.rejected(*refusal) if refusal else frames.outcome(frames.ACCEPTED)
        self.session.dispose(frames.RECEIVER, first.delivery_id, state)

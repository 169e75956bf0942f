"""Requests and replies: a client asks on one link of a node, and the answer comes on another."""

from typing import TYPE_CHECKING

from . import frames
from .cbs import put_token
from .codec import UInt
from .deliveries import Giving
from .frames import Attach, Transfer
from .links import CBS, Link, node_named, node_of
from .management import manage
from .messages import Request, request
from .sends import CREDIT

if TYPE_CHECKING:
    from .sessions import Session


class Replies(Giving):
    """The link that answers are given on."""

    def __init__(self, session: "Session", attach: Attach, node: str) -> None:
        super().__init__(session, attach, node)
        self.reply_address = node_of(attach.target)
        self._waiting: list[bytes] = []

    def answer(self, data: bytes) -> None:
        """Give an answer, as soon as there is credit for it."""
        self._waiting.append(data)
        self.credited()

    def credited(self) -> None:
        """Give the answers that wait."""
        while self._waiting and self.credit > 0:
            self.give(self._given.to_bytes(4, "big"), self._waiting.pop(0), settled=True)


class Requests(Link):
    """The link that requests come on, for `$cbs` or a queue's `$management`."""

    def __init__(self, session: "Session", attach: Attach, node: str) -> None:
        super().__init__(session, attach, node)
        self._parts: list[bytes] = []
        self._first: Transfer | None = None

    def opened(self) -> None:
        """Let the client ask without end: it has to wait for its answers anyway."""
        self.session.flow(UInt(self.handle), UInt(self.attach.initial_delivery_count or 0), UInt(CREDIT * CREDIT))

    def transferred(self, transfer: Transfer, payload: bytes) -> None:
        """Collect a request, confirm that it came, and answer it."""
        self._first = self._first or transfer
        self._parts.append(payload)
        if transfer.more:
            return
        first, data = self._first, b"".join(self._parts)
        self._first = None
        self._parts.clear()
        if not first.settled and first.delivery_id is not None:
            self.session.dispose(frames.RECEIVER, first.delivery_id, frames.outcome(frames.ACCEPTED))
        self._asked(request(data))

    def _asked(self, asked: Request) -> None:
        if self.node == CBS:
            fault = self.struck("token", node_named(str(asked.application_properties.get("name", ""))))
            answer = put_token(asked, fault)
        else:
            fault = self.struck("manage", self.queue_name)
            answer = manage(self, asked, fault)
        if fault and fault.kind == "lose_reply":
            if fault.drop:
                self.session.connection.drop()
            return
        self.session.connection.after(fault.seconds if fault else 0.0, lambda: self._reply(asked, answer))

    def _reply(self, asked: Request, answer: bytes) -> None:
        links = [link for link in self.session.links.values() if isinstance(link, Replies) and link.node == self.node]
        named = [link for link in links if asked.reply_to and link.reply_address == asked.reply_to]
        for link in (named or links)[-1:]:
            link.answer(answer)

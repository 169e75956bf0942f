"""The outbox: the queued rows are the messages to be sent; there is no second copy."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...sql_generator.queues import (
    confirm_sent_statement,
    lease_for_send_statement,
    redirect_statement,
    to_send_statement,
)
from ...statemachine.tables import QUEUES
from ..bus.messages import Kind, MessageRef, OutgoingMessage
from ..store.session import Note, Row, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimes:
    """The times of sending, in seconds, as in the settings of the same names, and how many are sent together."""

    relay_lease: float
    resend: float
    horizon: float
    resend_at_most: float = 3_600.0
    at_once: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """The rows that a relay leases: of one kind, of these types; with `ahead` also those due within the horizon."""

    kind: Kind
    types: Sequence[str]
    times: SendTimes
    ahead: bool

    def parameters(self, limit: int, without: Sequence[str]) -> dict[str, object]:
        """The parameters of its statements."""
        return {
            "types": list(self.types),
            "limit": limit,
            "without": list(without),
            "lease": self.times.relay_lease,
            "horizon": self.times.horizon if self.ahead else 0.0,
        }


async def lease_for_send(
    session: Session, request: SendRequest, limit: int, without: Sequence[str] = ()
) -> list[OutgoingMessage]:
    """Lease up to `limit` rows whose messages are to be sent, without those whose keys are in `without`.

    Unless they are confirmed, they are due again when the relay's lease expires.
    """
    statement = lease_for_send_statement(QUEUES[request.kind], session.schema)
    rows = await session.statement(statement, request.parameters(limit, without))
    return [_message(request.kind, row) for row in rows]


async def rows_to_send(session: Session, request: SendRequest, limit: int, without: Sequence[str]) -> list[Row]:
    """The `key` and `job_id` of the rows that `lease_for_send` would lease."""
    statement = to_send_statement(QUEUES[request.kind], session.schema)
    return await session.statement(statement, request.parameters(limit, without))


async def confirm_sent(session: Session, kind: Kind, messages: Sequence[OutgoingMessage], times: SendTimes) -> int:
    """Record that these were sent: each is sent again unless it is claimed in time. Returns how many still waited."""
    given: dict[str, object] = {
        "keys": [message.ref.key for message in messages],
        "lease_numbers": [message.ref.lease_number for message in messages],
        "send_numbers": [message.send_number for message in messages],
        "lease": times.relay_lease,
        "resend": times.resend,
        "most": times.resend_at_most,
    }
    rows = await session.statement(confirm_sent_statement(QUEUES[kind], session.schema), given)
    await record_first_sent(session, kind, [row["key"] for row in rows])
    return len(rows)


async def redirect(session: Session, ref: MessageRef, delay: float) -> bool:
    """Send a message again in `delay` seconds. False if the row has been claimed: then nothing changes."""
    given = {"key": ref.key, "lease_number": ref.lease_number, "delay": delay}
    return bool(await session.statement(redirect_statement(QUEUES[ref.kind], session.schema), given))


async def record_first_sent(session: Session, kind: Kind, keys: Sequence[str]) -> None:
    """Write the note of the first sending for those of these rows, locked by the caller, that have none yet.

    The first to know that the message was sent writes it: the relay that sent it, or the worker that received it.
    """
    queue = QUEUES[kind].queue
    note = None if queue is None else queue.first_sent
    if note is not None and keys:
        rows = await session.fetch("relay/jobs_without_job_queued", {"job_ids": list(keys)})
        await session.note(Note(type=note, job_id=row["job_id"], data={}) for row in rows)


def _message(kind: Kind, row: Row) -> OutgoingMessage:
    ref = MessageRef(kind=kind, key=row["key"], job_id=row["job_id"], lease_number=row["lease_number"])
    return OutgoingMessage(ref=ref, send_number=row["send_number"], delay=row["delay"])

"""The outbox: queued rows as messages to be sent. There is no second copy of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...sql_generator.outbox import (
    confirm_statement,
    postpone_statement,
    take_statement,
    to_send_statement,
)
from ...statemachine.records import Record
from ...statemachine.tables import CALLBACKS, TASKS
from ..bus.messages import Kind, MessageRef, OutgoingMessage
from ..store.session import Note, Row, Session

RECORDS: dict[Kind, Record] = {"task": TASKS, "callback": CALLBACKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The times of sending, in seconds, as in the settings of the same names; and how many are sent together."""

    relay_lease: float
    resend: float
    horizon: float
    resend_at_most: float = 3_600.0
    at_once: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What a relay takes: rows of one kind, of these types; with `ahead` those due within the horizon too."""

    kind: Kind
    types: Sequence[str]
    sending: Sending
    ahead: bool

    def parameters(self, limit: int, without: Sequence[str]) -> dict[str, object]:
        """The parameters of its statements."""
        sending = self.sending
        return {
            "kinds": list(self.types),
            "limit": limit,
            "without": list(without),
            "lease": sending.relay_lease,
            "horizon": sending.horizon if self.ahead else 0.0,
        }


async def take(session: Session, taking: Taking, limit: int, without: Sequence[str] = ()) -> list[OutgoingMessage]:
    """Take up to `limit` rows that are to be sent, without those whose keys are in `without`.

    Until they are confirmed they are due again when the relay's lease ends.
    """
    given = taking.parameters(limit, without)
    if taking.kind == "job":
        rows = await session.fetch("relay/take_job_messages", given)
    else:
        rows = await session.statement(take_statement(RECORDS[taking.kind], session.schema), given)
    return [_letter(taking.kind, row) for row in rows]


async def to_take(session: Session, taking: Taking, limit: int, without: Sequence[str]) -> list[Row]:
    """The `key` and `job_id` of the rows that `take` would take."""
    given = taking.parameters(limit, without)
    if taking.kind == "job":
        return await session.fetch("relay/jobs_to_send", given)
    return await session.statement(to_send_statement(RECORDS[taking.kind], session.schema), given)


async def confirm(session: Session, kind: Kind, letters: Sequence[OutgoingMessage], sending: Sending) -> int:
    """These were sent: they are sent again when nobody has come for them in time. Returns how many still waited.

    `job_queued` is told of a job whose submission or resumption has not been told yet.
    """
    given: dict[str, object] = {
        "keys": [letter.hint.key for letter in letters],
        "lease_numbers": [letter.hint.lease_number for letter in letters],
        "send_numbers": [letter.send_number for letter in letters],
        "lease": sending.relay_lease,
        "resend": sending.resend,
        "most": sending.resend_at_most,
    }
    if kind != "job":
        return len(await session.statement(confirm_statement(RECORDS[kind], session.schema), given))
    rows = await session.fetch("relay/confirm_job_messages", given)
    await tell_queued(session, [row["key"] for row in rows])
    return len(rows)


async def postpone(session: Session, hint: MessageRef, delay: float) -> bool:
    """Have a message sent anew in `delay` seconds. False where somebody has claimed the row: then nothing changes."""
    given = {"key": hint.key, "lease_number": hint.lease_number, "delay": delay}
    if hint.kind == "job":
        return bool(await session.fetch("relay/postpone_job_message", given))
    return bool(await session.statement(postpone_statement(RECORDS[hint.kind], session.schema), given))


async def tell_queued(session: Session, job_ids: Sequence[str]) -> None:
    """Write `job_queued` for those of these jobs, locked by the caller, that have none since they were queued.

    Told by whoever first knows that the message was sent: the relay that sent it, or the worker that got it.
    """
    if job_ids:
        rows = await session.fetch("relay/jobs_without_job_queued", {"job_ids": list(job_ids)})
        await session.note(Note(type="job_queued", job_id=row["job_id"], data={}) for row in rows)


def _letter(kind: Kind, row: Row) -> OutgoingMessage:
    hint = MessageRef(kind=kind, key=row["key"], job_id=row["job_id"], lease_number=row["lease_number"])
    return OutgoingMessage(hint=hint, send_number=row["send_number"], delay=row["delay"])

"""Claims: what a worker wins, of what is due or of what messages speak of, and what becomes of those messages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import psycopg

from ...sql_generator.claims import claim_by_key_statement
from ...statemachine.lifecycles import CALLBACK, TASK
from ...statemachine.machine import Subject, WrittenEvent, machine_of
from ..bus.messages import Kind, MessageRef, ReceivedMessage, UnreadableMessageError, read_message_ref
from ..bus.port import Work
from ..bus.settlement import Abandon, Complete, DeadLetter, Redirect, Settlement
from ..leases.lease_table import LeaseTable
from ..relay.outbox import RECORDS, postpone, tell_queued
from ..store.database import Database
from ..store.rows import ClaimedCallback, JobMessage
from ..store.session import Row, Session, event_parameters
from ..store.set_aside import Unhandled, set_aside
from ..store.transient import is_row_error

ELSEWHERE = 5.0
"""Seconds after which a message for another worker is sent anew."""


class Claimer:
    """Claims for one worker, which takes only the types that it declares.

    `due` is how each kind is claimed from the table, `calls` makes claimed tasks what the worker's hands take.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        database: Database,
        *,
        held: LeaseTable,
        owner: str,
        lease: float,
        types: Mapping[Kind, Sequence[str]],
        due: Mapping[Kind, Callable[[int], Awaitable[Sequence[Work]]]],
        calls: Callable[[Sequence[Row]], Sequence[Work]],
    ) -> None:
        self._database = database
        self._held = held
        self._owner = owner
        self._lease = lease
        self._types = types
        self._due = due
        self._calls = calls

    async def due(self, kind: Kind, limit: int) -> Sequence[Work]:
        """Claim up to `limit` due rows of a kind."""
        return await self._due[kind](limit)

    async def named(self, envelopes: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """Claim the rows that messages speak of: together, or one by one where one of them cannot be claimed.

        The message of such a row is given back, and the row set aside.
        """
        try:
            return await self._named(envelopes)
        except psycopg.Error as error:
            if not is_row_error(error):
                raise
            if len(envelopes) == 1:
                hint = read_message_ref(envelopes[0])
                step = f"claim {hint.kind}"
                await set_aside(self._database, step, [Unhandled(hint.key, hint.job_id, error)], self._owner)
                return (), [Abandon(f"{hint.kind} {hint.key} cannot be claimed")]
        apart = [await self.named([envelope]) for envelope in envelopes]
        return [work for works, _ in apart for work in works], [settlement for _, (settlement,) in apart]

    async def _named(self, envelopes: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """Claim the rows that messages speak of: one statement for each kind, its own transaction.

        A message whose row somebody else has, or has had, is complete: it was a hint, and there is nothing to do. One
        that nobody could ever handle is a dead letter. One for another worker is sent anew.
        """
        settlements: dict[int, Settlement] = {}
        hints: dict[Kind, dict[int, MessageRef]] = {}
        for index, envelope in enumerate(envelopes):
            try:
                hint = read_message_ref(envelope)
                hints.setdefault(hint.kind, {})[index] = hint
            except UnreadableMessageError as error:
                settlements[index] = DeadLetter(error.reason, error.description)
        won: list[Work] = []
        for kind, asked in hints.items():
            works, said = await self._claim(kind, asked)
            won += works
            settlements |= said
        return won, [settlements[index] for index in range(len(envelopes))]

    async def _claim(self, kind: Kind, asked: Mapping[int, MessageRef]) -> tuple[Sequence[Work], dict[int, Settlement]]:
        with self._held.claiming(kind) as leases:
            async with self._database.transaction() as session:
                rows = await self._rows(session, kind, list(asked.values()))
                numbers: dict[str, int] = {row["key"]: row["lease_number"] for row in rows}
                first: dict[str, int] = {}
                for index, hint in asked.items():
                    # it was this message that won: a claim raises the lease number by one
                    if numbers.get(hint.key) == hint.lease_number + 1:
                        first.setdefault(hint.key, index)
                settlements: dict[int, Settlement] = {index: Complete("claimed") for index in first.values()}
                lost = {index: hint for index, hint in asked.items() if index not in settlements}
                settlements |= await self._judge(session, kind, lost, set(numbers))
            leases.update(numbers)
        return self._works(kind, rows), settlements

    async def _rows(self, session: Session, kind: Kind, hints: Sequence[MessageRef]) -> list[Row]:
        given = {
            "keys": [hint.key for hint in hints],
            "lease_numbers": [hint.lease_number for hint in hints],
            "kinds": list(self._types[kind]),
            "lease_owner": self._owner,
            "lease": self._lease,
        }
        if kind == "job":
            rows = await session.fetch("worker/claim_job_messages_by_key", given)
            await tell_queued(session, [row["key"] for row in rows])
            return rows
        given |= event_parameters(claiming(kind, self._owner))
        return await session.statement(claim_by_key_statement(RECORDS[kind], session.schema), given)

    def _works(self, kind: Kind, rows: Sequence[Row]) -> Sequence[Work]:
        match kind:
            case "job":
                return [JobMessage(row["key"], row["job_type"], row["lease_number"]) for row in rows]
            case "callback":
                return [ClaimedCallback(**row) for row in rows]
            case "task":
                return self._calls(rows)

    async def _judge(
        self, session: Session, kind: Kind, lost: Mapping[int, MessageRef], won: set[str]
    ) -> dict[int, Settlement]:
        """Why a claim was lost, and so what becomes of the message."""
        if not lost:
            return {}
        keys = {"keys": [hint.key for hint in lost.values()]}
        rows = {row["key"]: row for row in await session.fetch(f"worker/rows_of_messages/{kind}", keys)}
        settlements: dict[int, Settlement] = {}
        for index, hint in lost.items():
            settlement = Complete("a copy") if hint.key in won else _lost(hint, rows.get(hint.key), self._types[kind])
            if isinstance(settlement, Redirect) and not await postpone(session, hint, settlement.delay):
                settlement = Complete("claimed meanwhile")
            settlements[index] = settlement
        return settlements


def _lost(hint: MessageRef, row: Row | None, types: Sequence[str]) -> Settlement:
    what = f"{hint.kind} {hint.key}"
    if row is None:
        return DeadLetter("NoSuchRow", f"there is no {what}")
    if row["job_id"] != hint.job_id:
        return DeadLetter("NoSuchRow", f"{what} does not belong to job {hint.job_id}")
    if not row["waiting"]:
        return Complete(f"{what} waits for no message: it is {row['status']}")
    if row["lease_number"] != hint.lease_number:
        return Complete(f"{what} has been claimed since: its lease number is {row['lease_number']}")
    if row["type"] not in types:
        return Redirect(ELSEWHERE, f"{row['type']} is not declared here")
    return Abandon(f"{what} was held by somebody who let go of it")


def claiming(kind: Kind, owner: str) -> WrittenEvent | None:
    """The event that every row of a claim writes, fired once: the rows are not known before the claim."""
    lifecycle = TASK if kind == "task" else CALLBACK
    move = machine_of(lifecycle).fire(Subject("*", lifecycle.initial.name), "claim", data={"worker": owner})
    return move.event

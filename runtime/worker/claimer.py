"""The claimer of a worker: claims rows that are due or named by messages, and records each lease first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from ...statemachine.tables import QUEUES
from ..bus.messages import Kind, MessageRef, ReceivedMessage, UnreadableMessageError, read_message_ref
from ..bus.settlement import Abandon, Complete, DeadLetter, Redirect, Settlement
from ..executor.call import Call
from ..leases.lease_table import LeaseTable
from ..relay.outbox import record_first_sent, redirect
from ..store.claims import Claim, claim_by_key, claim_due, due_rows, message_rows
from ..store.database import Database
from ..store.rows import ClaimedCallback, JobMessage
from ..store.session import Row, Session
from ..store.set_aside import Unhandled, set_aside
from ..store.transient import is_row_error
from ..store.unclaimable import Unclaimable

ELSEWHERE_SECONDS = 5.0
"""Seconds after which a message for another worker is sent again."""

Work = JobMessage | ClaimedCallback | Call
"""A claimed row, as the worker handles it."""

Settlements = dict[int, Settlement]


class Claimer:
    """Claims for one worker, only rows of the types that it declares. `to_work` turns rows of a kind into work."""

    def __init__(  # noqa: PLR0913 - each is passed by name
        self,
        database: Database,
        leases: LeaseTable,
        unclaimable: Unclaimable,
        *,
        owner: str,
        lease: float,
        types: Mapping[Kind, Sequence[str]],
        to_work: Mapping[Kind, Callable[[Sequence[Row]], Sequence[Work]]],
    ) -> None:
        self._database = database
        self._leases = leases
        self._unclaimable = unclaimable
        self._owner = owner
        self._lease = lease
        self._types = types
        self._to_work = to_work
        self._turn = 0

    def types_in_turn(self, kind: Kind) -> list[str]:
        """The declared types, beginning with another one each time, so that a long queue cannot starve the others."""
        types = self._types[kind]
        self._turn += 1
        start = self._turn % len(types) if types else 0
        return [*types[start:], *types[:start]]

    def claim_of(self, kind: Kind, types: Sequence[str], limit: int = 0, without: Sequence[str] = ()) -> Claim:
        """A claim of rows of this kind. It leaves out `without` and the rows that could not be claimed recently."""
        return Claim(
            record=QUEUES[kind], types=types, owner=self._owner, lease=self._lease, limit=limit, without=without
        )

    def unclaimable_keys(self, kind: Kind) -> Sequence[str]:
        """The keys of rows of this kind that could not be claimed recently."""
        return self._unclaimable.keys(_step(kind))

    async def claim_due(self, kind: Kind, types: Sequence[str], limit: int) -> Sequence[Work]:
        """Claim up to `limit` due rows. Raises psycopg.Error."""
        if not limit:
            return ()

        async def claim(limit: int, without: Sequence[str]) -> list[Row]:
            with self._leases.claiming(kind) as won:
                async with self._database.session() as session:
                    rows = await claim_due(session, self.claim_of(kind, types, limit, without))
                won.update(_lease_numbers(rows))
            return rows

        return self._to_work[kind](await self.claim_or_leave_out(kind, types, limit, claim))

    async def claim_or_leave_out(
        self, kind: Kind, types: Sequence[str], limit: int, claim: Callable[[int, Sequence[str]], Any]
    ) -> Any:
        """Do `claim`; if it fails for one of its rows, claim them one by one, without those that cannot be claimed."""

        async def due(limit: int, without: Sequence[str]) -> list[Row]:
            async with self._database.session() as session:
                return await due_rows(session, self.claim_of(kind, types, limit, without))

        return await self._unclaimable.claim(_step(kind), limit, claim, due)

    async def claim_named(self, messages: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """Claim the rows that messages name, and return the settlement of each message, in their order.

        When it returns the claims are committed. If one row cannot be claimed, they are claimed one by one; the message
        of such a row is abandoned, and the row set aside. Raises psycopg.Error.
        """
        try:
            return await self._claim_named(messages)
        except psycopg.Error as error:
            if not is_row_error(error):
                raise
            if len(messages) == 1:
                ref = read_message_ref(messages[0])
                await set_aside(self._database, _step(ref.kind), [Unhandled(ref.key, ref.job_id, error)], self._owner)
                return (), [Abandon(f"{ref.kind} {ref.key} cannot be claimed")]
        one_by_one = [await self.claim_named([message]) for message in messages]
        return [work for works, _ in one_by_one for work in works], [one for _, (one,) in one_by_one]

    async def _claim_named(self, messages: Sequence[ReceivedMessage]) -> tuple[Sequence[Work], Sequence[Settlement]]:
        """One statement and one transaction for each kind."""
        settlements: Settlements = {}
        refs: dict[Kind, dict[int, MessageRef]] = {}
        for index, message in enumerate(messages):
            try:
                ref = read_message_ref(message)
                refs.setdefault(ref.kind, {})[index] = ref
            except UnreadableMessageError as error:
                settlements[index] = DeadLetter(error.reason, error.description)
        won: list[Work] = []
        for kind, asked in refs.items():
            rows, settled = await self._claim_by_key(kind, asked)
            won += self._to_work[kind](rows)
            settlements |= settled
        return won, [settlements[index] for index in range(len(messages))]

    async def _claim_by_key(self, kind: Kind, asked: Mapping[int, MessageRef]) -> tuple[list[Row], Settlements]:
        with self._leases.claiming(kind) as won:
            async with self._database.transaction() as session:
                named = [(ref.key, ref.lease_number) for ref in asked.values()]
                rows = await claim_by_key(session, self.claim_of(kind, self._types[kind]), named)
                numbers = _lease_numbers(rows)
                await record_first_sent(session, kind, list(numbers))
                settlements: Settlements = {
                    index: Complete("claimed", _under(ref, numbers[ref.key]))
                    for index, ref in _winners(asked, numbers).items()
                }
                lost = {index: ref for index, ref in asked.items() if index not in settlements}
                settlements |= await self._settle_lost(session, kind, lost, set(numbers))
            won.update(numbers)
        return rows, settlements

    async def _settle_lost(
        self, session: Session, kind: Kind, lost: Mapping[int, MessageRef], won: set[str]
    ) -> Settlements:
        """Why each claim was lost, and the settlement of its message."""
        if not lost:
            return {}
        rows = await message_rows(session, QUEUES[kind], [ref.key for ref in lost.values()])
        settlements: Settlements = {}
        for index, ref in lost.items():
            settlement = Complete("a copy") if ref.key in won else _lost(ref, rows.get(ref.key), self._types[kind])
            if isinstance(settlement, Redirect) and not await redirect(session, ref, settlement.delay):
                settlement = Complete("claimed meanwhile")
            settlements[index] = settlement
        return settlements


def _step(kind: Kind) -> str:
    return f"claim {kind}"


def _lease_numbers(rows: Sequence[Row]) -> dict[str, int]:
    return {row["key"]: row["lease_number"] for row in rows}


def _under(ref: MessageRef, lease_number: int) -> MessageRef:
    return MessageRef(kind=ref.kind, key=ref.key, job_id=ref.job_id, lease_number=lease_number)


def _winners(asked: Mapping[int, MessageRef], numbers: Mapping[str, int]) -> dict[int, MessageRef]:
    """The first message of each row that was won: a claim raises the lease number of its message by one."""
    first: dict[str, int] = {}
    for index, ref in asked.items():
        if numbers.get(ref.key) == ref.lease_number + 1:
            first.setdefault(ref.key, index)
    return {index: asked[index] for index in first.values()}


def _lost(ref: MessageRef, row: Row | None, types: Sequence[str]) -> Settlement:
    what = f"{ref.kind} {ref.key}"
    if row is None:
        return DeadLetter("NoSuchRow", f"there is no {what}")
    if row["job_id"] != ref.job_id:
        return DeadLetter("NoSuchRow", f"{what} does not belong to job {ref.job_id}")
    if not row["waiting"]:
        return Complete(f"{what} needs no message: it is {row['status']}")
    if row["lease_number"] != ref.lease_number:
        return Complete(f"{what} has been claimed since: its lease number is {row['lease_number']}")
    if row["type"] not in types:
        return Redirect(ELSEWHERE_SECONDS, f"{row['type']} is not declared here")
    return Abandon(f"{what} was locked by a transaction that rolled back")

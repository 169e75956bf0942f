"""Claims of a queue: of due rows, and of the rows that messages name."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...sql_generator.queues import claim_by_key_statement, claim_statement, due_statement, messages_statement
from ...statemachine.machine import Subject, machine_of
from ...statemachine.records import Record
from .session import Row, Session, event_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim of a worker: up to `limit` due rows of a record, of these types, for `lease` seconds.

    Rows whose keys are in `without` are left out.
    """

    record: Record
    types: Sequence[str]
    owner: str
    lease: float
    limit: int = 0
    without: Sequence[str] = ()

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of each claim. All rows get the same event: they are not known before the claim."""
        common: dict[str, object] = {"types": list(self.types), "lease_owner": self.owner, "lease": self.lease}
        queue, lifecycle = self.record.queue, self.record.lifecycle
        if queue is None or queue.claim is None:
            return common
        move = machine_of(lifecycle).fire(
            Subject("*", lifecycle.initial.name), queue.claim, data={"worker": self.owner}
        )
        return common | event_parameters(move.event)


async def claim_due(session: Session, claim: Claim) -> list[Row]:
    """Claim due rows and return those that were won."""
    given = {**claim.parameters, "limit": claim.limit, "without": list(claim.without)}
    return await session.statement(claim_statement(claim.record, session.schema), given)


async def due_rows(session: Session, claim: Claim) -> list[Row]:
    """The `key` and `job_id` of the rows that this claim would try to win."""
    given = {"types": list(claim.types), "without": list(claim.without), "limit": claim.limit}
    return await session.statement(due_statement(claim.record, session.schema), given)


async def claim_by_key(session: Session, claim: Claim, leases: Sequence[tuple[str, int]]) -> list[Row]:
    """Claim the rows with these keys that still have these lease numbers, and return those that were won."""
    given = {"keys": [key for key, _ in leases], "lease_numbers": [number for _, number in leases]}
    return await session.statement(claim_by_key_statement(claim.record, session.schema), claim.parameters | given)


async def message_rows(session: Session, record: Record, keys: Sequence[str]) -> dict[str, Row]:
    """The state of the rows that messages name, by key: job_id, type, status, lease_number, waiting."""
    rows = await session.statement(messages_statement(record, session.schema), {"keys": list(keys)})
    return {row["key"]: row for row in rows}

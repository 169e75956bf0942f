"""Who tells of a move: the database, as everywhere else; for comparison the client, whom nobody checks; or nobody."""

from typing import Literal, NamedTuple

from ...sql_generator.moves import move_statement
from ...sql_generator.queues import claim_statement
from ...statemachine.tables import TASKS
from ..store.queries import query

ToldBy = Literal["database", "client", "nobody"]
WON = "AS key"


class Statements(NamedTuple):
    """Claim and completion of tasks in sets."""

    claim: bytes
    complete: bytes


def told(schema: str, by: ToldBy) -> Statements:
    """The statements of the worker; told by the client, with the events written in the same statement."""
    claim, complete = claim_statement(TASKS, schema), move_statement(TASKS, "complete", schema).sql
    if by != "client":
        return Statements(claim.encode(), complete.encode())
    complete = complete.replace(WON, f"{WON}, r.job_id, r.stage, r.lease_number, r.attempt")
    return Statements(
        query("bench/claim_and_tell", schema).replace(b":move", claim.encode()),
        query("bench/complete_and_tell", schema).replace(b":move", complete.encode()),
    )

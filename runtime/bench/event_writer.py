"""Who writes the event of a move: the database, as usual; for comparison, the unchecked client; or nobody."""

from typing import Literal, NamedTuple

from ...sql_generator.moves import move_statement
from ...sql_generator.queues import claim_statement
from ...statemachine.tables import TASKS
from ..store.queries import query

EventWriter = Literal["database", "client", "nobody"]
RETURNED_KEY = "AS key"


class Statements(NamedTuple):
    """Claim and completion of tasks in sets."""

    claim: bytes
    complete: bytes


def statements_for(writer: EventWriter, schema: str) -> Statements:
    """The statements of the worker; with the writer `client` they insert the events themselves."""
    claim, complete = claim_statement(TASKS, schema), move_statement(TASKS, "complete", schema).sql
    if writer != "client":
        return Statements(claim.encode(), complete.encode())
    complete = complete.replace(RETURNED_KEY, f"{RETURNED_KEY}, r.job_id, r.stage, r.lease_number, r.attempt")
    return Statements(
        query("bench/claim_and_write_events", schema).replace(b":move", claim.encode()),
        query("bench/complete_and_write_events", schema).replace(b":move", complete.encode()),
    )

"""The ground that probes stand on: rows of every record in every state, brought there by the moves themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coremachine.runtime.store.session import Session
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import born, open_session, row_in, row_of, run

EACH = 3


@dataclass(frozen=True)
class Ground:
    """The keys of three rows for each record and state, in the order of the table, which is not that of the keys.

    `leases` are the lease numbers of rows by their keys.
    """

    keys: Mapping[tuple[str, str], Sequence[str]]
    leases: Mapping[str, int]

    def key(self, record: Record, state: str) -> str:
        """One row in this state."""
        return self.keys[record.machine, state][0]


async def lay(url: str) -> Ground:
    """Make the rows."""
    keys: dict[tuple[str, str], Sequence[str]] = {}
    leases: dict[str, int] = {}
    async with open_session(url) as session:
        for record in SCHEMA.records:
            for state in record.lifecycle.by_name:
                made = [await _row(session, record, state, at) for at in range(EACH)]
                keys[record.machine, state] = made
                await _related(session, record, made)
                if record.fence is not None:
                    leases |= {key: (await row_of(session, record, key))[record.fence] for key in made}
    return Ground(keys, leases)


async def _row(session: Session, record: Record, state: str, at: int) -> str:
    """A row whose key is smaller than those of the rows before it."""
    given: dict[str, object] = {}
    if record is JOBS:
        given["job_id"] = f"{EACH - at:x}{list(record.lifecycle.by_name).index(state):x}".ljust(64, "a")
    if record is TASKS:
        job = (await born(session, JOBS)).key
        stage = int((await born(session, STAGES, job_id=job)).key)
        given = {"job_id": job, "stage_id": stage, "task_id": f"{EACH - at}-{stage}"}
    return (await row_in(session, record, state, **given)).key


RELATED = {
    "stage": "job_id = o.job_id, stage = 2, name = 'second'",
    "task": "job_id = o.job_id, stage_id = o.stage_id, task_index = 1",
}


async def _related(session: Session, record: Record, keys: Sequence[str]) -> None:
    """The first row and the last get one parent, and the row with the smallest key goes to the end of the table."""
    key = f"{record.key.name}::text"
    if record.machine in RELATED:
        await run(
            session,
            f"UPDATE app.{record.table} AS r SET {RELATED[record.machine]} FROM app.{record.table} AS o"  # noqa: S608
            f" WHERE r.{key} = '{keys[-1]}' AND o.{key} = '{keys[0]}'",
        )
    await run(
        session,
        f"UPDATE app.{record.table} SET created_at = created_at WHERE {record.key.name} ="  # noqa: S608 - test SQL
        f" (SELECT min({record.key.name}) FROM app.{record.table} WHERE {key} = ANY(%(keys)s))",
        {"keys": list(keys)},
    )

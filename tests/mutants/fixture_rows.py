"""The rows that probes use: of every record in every state, moved there by the generated moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coremachine.runtime.store.session import Row, Session
from coremachine.sql_generator.queues import claim_statement
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import OWNER, insert_row, open_session, row_in, row_of, run

EACH = 3
ROOM = 9
"""The number of stages that a job may have: more than it has."""

UNVACUUMED = """
DO $$
DECLARE
  tables regclass[] := ARRAY(SELECT c.oid FROM pg_class AS c
                             WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'r');
BEGIN
  FOR i IN 1 .. cardinality(tables) LOOP
    EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', tables[i]);
  END LOOP;
END $$
"""
"""Mutants change tables in one long transaction, which an autovacuum that waits for it would deadlock with."""


@dataclass(frozen=True)
class FixtureRows:
    """The keys of three rows for each record and state, in the order in which they were made.

    In the tables the greatest key comes first.

    `leases` are the lease numbers of rows by their keys, `rows` all that rows hold, by their machine and key.
    `leased_jobs` are three more jobs under way, whose messages a worker holds.
    """

    keys: Mapping[tuple[str, str], Sequence[str]]
    leases: Mapping[str, int]
    rows: Mapping[tuple[str, str], Row]
    leased_jobs: Sequence[str]

    def state(self, record: Record, key: str) -> str:
        """The state that a row is in."""
        return next(state for (machine, state), keys in self.keys.items() if machine == record.machine and key in keys)

    def key(self, record: Record, state: str) -> str:
        """One row in this state."""
        return self.keys[record.machine, state][0]


async def create_rows(url: str) -> FixtureRows:
    """Make the rows."""
    keys: dict[tuple[str, str], Sequence[str]] = {}
    leases: dict[str, int] = {}
    async with open_session(url) as session:
        await run(session, UNVACUUMED)
        for record in SCHEMA.records:
            for state in record.lifecycle.by_name:
                parents = await _parents(session, record)
                made = [await _row(session, record, state, at, parents[at]) for at in range(EACH)]
                keys[record.machine, state] = made
                if record.fencing_column is not None:
                    leases |= {key: (await row_of(session, record, key))[record.fencing_column] for key in made}
        leased = [await _leased_job(session, at) for at in range(EACH)]
        for record in SCHEMA.records:
            await _reverse(session, record)
        rows = {
            (record.machine, key): await row_of(session, record, key)
            for record in SCHEMA.records
            for some in (*(keys[record.machine, state] for state in record.lifecycle.by_name), leased)
            for key in (some if some is not leased or record is JOBS else ())
        }
    return FixtureRows(keys, leases, rows, leased)


async def _leased_job(session: Session, at: int) -> str:
    """A job under way whose message is held."""
    key = (await row_in(session, JOBS, "processing", job_id=f"{EACH - at:x}".ljust(64, "b"))).key
    await run(session, "UPDATE {schema}.jobs SET due_at = {schema}.clock() WHERE job_id = %(key)s", {"key": key})
    given = {"types": ["sums"], "limit": 1, "without": [], "lease": 3600.0, "lease_owner": OWNER}
    others = await run(session, "SELECT job_id FROM {schema}.jobs WHERE job_id <> %(key)s", {"key": key})
    claimed = await run(session, claim_statement(JOBS), {**given, "without": [row["job_id"] for row in others]})
    assert [row["job_id"] for row in claimed] == [key]
    return key


Columns = Mapping[str, object]


async def _parents(session: Session, record: Record) -> Sequence[Columns]:
    """What three rows belong to: the first and the last to the same, which is still open, and has room."""
    if record is JOBS or record is CALLBACKS:
        return [dict[str, object]()] * EACH
    first, apart = [{"job_id": (await insert_row(session, JOBS, stage_count=ROOM)).key} for _ in range(2)]
    if record is TASKS:
        for one in (first, apart):
            one["stage_id"] = (await row_in(session, STAGES, "processing", **one)).key
    return [first, apart, first]


async def _row(session: Session, record: Record, state: str, at: int, parent: Columns) -> str:
    """A row; of jobs and tasks with a smaller key than those before it. A job has the one stage that it wants."""
    given: dict[str, object] = {**parent}
    if record is JOBS:
        given["job_id"] = f"{EACH - at:x}{list(record.lifecycle.by_name).index(state):x}".ljust(64, "a")
    if record is STAGES:
        given |= {"stage": at + 1, "name": f"stage {at + 1}"}
    if record is TASKS:
        given |= {"stage_id": int(str(parent["stage_id"])), "task_index": at}
        given["task_id"] = f"{EACH - at}-{parent['stage_id']}"
    key = (await row_in(session, record, state, **given)).key
    if record is JOBS and state in {"queued", "processing"}:
        await row_in(session, STAGES, "completed", job_id=key)
    return key


async def _reverse(session: Session, record: Record) -> None:
    """Rewrite the table with the greatest key first, so that only a sort returns rows in the order of their keys.

    Updating a row does not move it for certain: the server reuses the room of dead rows on the same page.
    """
    await run(session, f"CREATE INDEX reversing ON app.{record.table} ({record.key.name} DESC)")
    await run(session, f"CLUSTER app.{record.table} USING reversing")
    await run(session, "DROP INDEX app.reversing")

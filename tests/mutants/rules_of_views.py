"""What the views over all queues must show: each row that waits or is leased, once, with what it holds; no other."""
# ruff: noqa: S608 - test SQL

from collections.abc import Iterator

from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.queue import states_of
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import SCHEMA
from tests.mutants.attempt import Probe
from tests.mutants.fixture_rows import FixtureRows
from tests.mutants.rules_of_changes import Prepared, rows_of

VIEWS = {
    "waiting_rows": ("job_id", "lease_number", "send_number", "due_at"),
    "leased_rows": ("job_id", "lease_number", "lease_owner", "lease_expires_at"),
}


def of_views(fixture: FixtureRows) -> Iterator[Probe]:
    """Every probe of the two views."""
    for record in SCHEMA.records:
        for state in record.lifecycle.by_name if record.queue is not None else ():
            for row in rows_of(record, fixture, state):
                for view in VIEWS:
                    yield _of_row(record, row, view)
    for view in VIEWS:
        yield Probe(f"a worker reads {view}", f"SELECT FROM app.{view}", role=worker_role("app"))


def _of_row(record: Record, row: Prepared, view: str) -> Probe:
    queue = record.queue
    assert queue is not None
    same = [f"v.{column} IS NOT DISTINCT FROM r.{column}" for column in VIEWS[view]]
    same += [f"v.type IS NOT DISTINCT FROM r.{queue.by}", f"v.queue = '{queue.name}'"]
    subject = f"'{queue.name} ' || r.{queue.label}" if queue.label else f"'{queue.name}'"
    same.append(f"v.subject IS NOT DISTINCT FROM {subject}")
    if view == "leased_rows":
        deadline = f"r.{queue.handler_deadline}" if queue.handler_deadline else "NULL"
        same.append(f"v.deadline_at IS NOT DISTINCT FROM {deadline}")
    shown = f"FROM app.{view} AS v JOIN app.{record.table} AS r ON v.key = r.{record.key.name}::text"
    shown += f" WHERE v.key = '{row.key}' AND v.job_id = r.job_id"
    times = 1 if _shows(record, row, view) else 0
    once = f"(SELECT count(*) = {times} AND coalesce(bool_and({' AND '.join(same)}), true) {shown})"
    only = f"(SELECT count(*) = {times} FROM app.{view} AS v WHERE v.queue = '{queue.name}' AND v.key = '{row.key}')"
    return Probe(f"{view}: {row.name}", f"{row.preparation}SELECT 1", f"{once} AND {only}")


def _shows(record: Record, row: Prepared, view: str) -> bool:
    queue = record.queue
    assert queue is not None
    waits, leased = states_of(queue, record.lifecycle)
    if queue.claim is None:
        return row.row["due_at" if view == "waiting_rows" else "lease_owner"] is not None
    return row.row["status"] in (waits if view == "waiting_rows" else leased)

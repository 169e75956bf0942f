"""The rules that stand in the tables: columns tied to states, and counters that add up."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from psycopg import errors

from coremachine.runtime.store.session import Session
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, SCHEMA, STAGES, TASKS
from tests.integration.rows import born, row_in, tied_columns, update, without_guard

TIED = [
    (record, tie.column, state)
    for record in SCHEMA.records
    for tie in record.ties
    for state in record.lifecycle.by_name
    if state not in tie.allowed
]
SAMPLES = {
    "TIMESTAMPTZ": "now()",
    "JSON": "'{}'::json",
    "JSONB": "'{}'::jsonb",
    "VARCHAR(100)": "'someone'",
    "VARCHAR(20)": "'why'",
    "TEXT": "'why'",
    "INT": "1",
}
ENDED = {"tasks_completed": "0", "tasks_failed": "0", "tasks_cancelled": "0"}


def named(value: object) -> str:
    return value.machine if isinstance(value, Record) else str(value)


async def refused_by(session: Session, record: Record, key: str, changes: Mapping[str, str]) -> str | None:
    """The name of the constraint that refuses the change."""
    with pytest.raises(errors.CheckViolation) as refused:
        await update(session, record, key, changes)
    return refused.value.diag.constraint_name


@pytest.mark.parametrize(("record", "column", "state"), TIED, ids=named)
async def test_a_tied_column_is_neither_missing_nor_superfluous(
    shared: Session, record: Record, column: str, state: str
) -> None:
    subject = await row_in(shared, record, state)
    required = any(tie.column == column and state in tie.required for tie in record.ties)
    value = "NULL" if required else SAMPLES[record.column(column).type]
    async with AsyncExitStack() as stack:
        if column in record.kept:  # a guard is before the constraint here, and says less
            await stack.enter_async_context(without_guard(shared, record, f"5_{column}"))
        assert await refused_by(shared, record, subject.key, {column: value}) == f"{record.table}_{column}_tied"


@pytest.mark.parametrize("record", [TASKS, CALLBACKS], ids=named)
@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"attempt": "0"}, "attempts"),
        ({"attempt": "max_attempts + 1"}, "attempts"),
        ({"rescues": "-1"}, "rescues_counted"),
        ({"rescues": "max_rescues + 1"}, "rescues_counted"),
    ],
)
async def test_attempts_and_rescues_stay_within_their_bounds(
    shared: Session, record: Record, changes: dict[str, str], constraint: str
) -> None:
    subject = await born(shared, record)
    assert await refused_by(shared, record, subject.key, changes) == f"{record.table}_{constraint}"


async def test_a_message_lease_has_an_owner_and_an_end(shared: Session) -> None:
    [jobs] = [record for record in SCHEMA.records if record.machine == "job"]
    subject = await born(shared, jobs)
    assert await refused_by(shared, jobs, subject.key, {"lease_owner": "'me'"}) == "jobs_message_lease"
    assert await refused_by(shared, jobs, subject.key, {"lease_expires_at": "now()"}) == "jobs_message_lease"


async def test_a_stage_counts_no_more_tasks_than_it_has(shared: Session) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await update(shared, STAGES, stage.key, {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"})
    more = {"tasks_cancelled": "1"}
    assert await refused_by(shared, STAGES, stage.key, more) == "stages_counters_add_up"


@pytest.mark.parametrize("counter", ENDED)
async def test_a_counter_is_never_negative(shared: Session, counter: str) -> None:
    stage = await row_in(shared, STAGES, "processing")
    assert await refused_by(shared, STAGES, stage.key, {counter: "-1"}) == f"stages_{counter}_check"


@pytest.mark.parametrize("target", ["completed", "failed", "cancelled"])
async def test_a_stage_closes_when_every_task_is_counted_and_not_before(shared: Session, target: str) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await update(shared, STAGES, stage.key, {"tasks_total": "2", "tasks_completed": "1"})
    closing = {"status": f"'{target}'", **tied_columns(STAGES, target)}
    assert await refused_by(shared, STAGES, stage.key, closing) == "stages_closed_when_counted"


async def test_a_stage_completes_only_with_every_task_completed(shared: Session) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await update(shared, STAGES, stage.key, {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"})
    closing = {"status": "'completed'", **tied_columns(STAGES, "completed")}
    assert await refused_by(shared, STAGES, stage.key, closing) == "stages_completed_whole"

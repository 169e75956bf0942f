"""The rules that stand in the tables: columns tied to states, and counters that add up."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest
from psycopg import errors

from coremachine.runtime.store.session import Session
from coremachine.statemachine.records import Record
from coremachine.statemachine.tables import CALLBACKS, JOBS, SCHEMA, STAGES, TASKS
from tests.integration.rows import insert_row, row_in, row_of, tied_columns, update, without_guard

TIED = [
    (record, tie.column, state)
    for record in SCHEMA.records
    for tie in record.state_columns
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
COUNTERS = ("tasks_open", "tasks_completed", "tasks_failed", "tasks_cancelled")


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
    required = any(tie.column == column and state in tie.required for tie in record.state_columns)
    value = "NULL" if required else SAMPLES[record.column(column).type]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(without_guard(shared, record, "7_changed"))
        if state in record.ends:
            await stack.enter_async_context(without_guard(shared, record, "6_ended"))
        assert await refused_by(shared, record, subject.key, {column: value}) == f"{record.table}_{column}_tied"


@pytest.mark.parametrize("record", [TASKS, CALLBACKS], ids=named)
@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"attempt": "0"}, "attempts"),
        ({"attempt": "max_attempts + 1"}, "attempts"),
        ({"rescues": "-1"}, "in_range"),
        ({"rescues": "max_rescues + 1"}, "rescues_counted"),
    ],
)
async def test_attempts_and_rescues_stay_within_their_bounds(
    shared: Session, record: Record, changes: dict[str, str], constraint: str
) -> None:
    subject = await insert_row(shared, record)
    async with without_guard(shared, record, "7_changed"):
        assert await refused_by(shared, record, subject.key, changes) == f"{record.table}_{constraint}"


async def test_a_message_lease_has_an_owner_and_an_end(shared: Session) -> None:
    subject = await insert_row(shared, JOBS)
    for changes in ({"lease_owner": "'me'"}, {"lease_expires_at": "now()"}):
        async with without_guard(shared, JOBS, "7_changed"):
            assert await refused_by(shared, JOBS, subject.key, changes) == "jobs_message_lease"


async def test_a_stage_counts_as_many_tasks_as_it_has(shared: Session) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await update(shared, STAGES, stage.key, {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"})
    for counter in COUNTERS:
        more = {counter: f"{counter} + 1"}
        assert await refused_by(shared, STAGES, stage.key, more) == "stages_counters_add_up"
    assert await refused_by(shared, STAGES, stage.key, {"tasks_total": "3"}) == "stages_counters_add_up"


@pytest.mark.parametrize("counter", COUNTERS)
async def test_a_counter_is_never_negative(shared: Session, counter: str) -> None:
    stage = await row_in(shared, STAGES, "processing")
    other = next(one for one in COUNTERS if one != counter)
    assert await refused_by(shared, STAGES, stage.key, {counter: "-1", other: "1"}) == "stages_in_range"


@pytest.mark.parametrize("target", ["completed", "failed", "cancelled"])
async def test_a_stage_closes_when_every_task_is_counted_and_not_before(shared: Session, target: str) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await insert_row(shared, TASKS, job_id=(await row_of(shared, STAGES, stage.key))["job_id"], stage_id=int(stage.key))
    closing = {"status": f"'{target}'", **tied_columns(STAGES, target)}
    assert await refused_by(shared, STAGES, stage.key, closing) == "stages_closed_when_counted"


async def test_a_stage_completes_only_with_every_task_completed(shared: Session) -> None:
    stage = await row_in(shared, STAGES, "processing")
    await update(shared, STAGES, stage.key, {"tasks_total": "2", "tasks_completed": "1", "tasks_failed": "1"})
    closing = {"status": "'completed'", **tied_columns(STAGES, "completed")}
    assert await refused_by(shared, STAGES, stage.key, closing) == "stages_completed_whole"


@pytest.mark.parametrize("stage_in", ["pending", "processing"])
@pytest.mark.parametrize("target", ["completed", "failed", "cancelled"])
async def test_a_job_ends_when_none_of_its_stages_is_open_and_not_before(
    shared: Session, target: str, stage_in: str
) -> None:
    job = await row_in(shared, JOBS, "processing")
    await row_in(shared, STAGES, stage_in, job_id=job.key)
    ending = {"status": f"'{target}'", **tied_columns(JOBS, target)}
    refused = await refused_by(shared, JOBS, job.key, ending)
    assert refused == ("jobs_completed_whole" if target == "completed" else "jobs_ended_when_counted")
    assert (await row_of(shared, JOBS, job.key))["status"] == "processing"


@pytest.mark.parametrize("stage_in", ["failed", "cancelled"])
async def test_a_job_completes_only_with_every_stage_completed(shared: Session, stage_in: str) -> None:
    job = await row_in(shared, JOBS, "processing")
    await row_in(shared, STAGES, stage_in, job_id=job.key)
    ending = {"status": "'completed'", **tied_columns(JOBS, "completed")}
    assert await refused_by(shared, JOBS, job.key, ending) == "jobs_completed_whole"


async def test_a_job_has_no_more_stages_than_it_was_given(shared: Session) -> None:
    job = await insert_row(shared, JOBS, stage_count=1)
    await insert_row(shared, STAGES, job_id=job.key)
    with pytest.raises(errors.CheckViolation) as refused:
        await insert_row(shared, STAGES, job_id=job.key, stage=2, name="one more")
    assert refused.value.diag.constraint_name == "jobs_stages_counted"


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (JOBS, {"due_at": "'infinity'"}),
        (JOBS, {"due_at": "'-infinity'"}),
        (JOBS, {"due_at": "'9999-01-02'"}),
        (JOBS, {"deadline": "interval '36526 days'", "deadline_at": "now()"}),
        (JOBS, {"lease_number": "2147483647"}),
        (STAGES, {"created_at": "'infinity'"}),
        (TASKS, {"send_number": "-1"}),
        (TASKS, {"due_at": "'infinity'"}),
        (CALLBACKS, {"lease_number": "2147483647"}),
    ],
    ids=named,
)
async def test_what_could_stop_all_others_stays_in_range(
    shared: Session, record: Record, changes: dict[str, str]
) -> None:
    subject = await insert_row(shared, record)
    async with without_guard(shared, record, "7_changed"):
        assert await refused_by(shared, record, subject.key, changes) == f"{record.table}_in_range"

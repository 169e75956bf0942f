"""F42: what claims, and what relays take, is one range of one index in its order, whatever the statistics say."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from psycopg import sql

from coremachine.runtime.store.database import Database
from coremachine.runtime.store.queries import query
from coremachine.runtime.store.session import Session, array_text, event_parameters
from coremachine.sql_generator.moves import move_statement
from coremachine.sql_generator.queues import (
    claim_by_key_statement,
    claim_statement,
    confirm_sent_statement,
    lease_for_send_statement,
    renew_statement,
)
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Subject, machine_of
from coremachine.statemachine.tables import TASKS
from tests.integration.rows import insert_row, run

Node = dict[str, Any]
QUEUED = 50_000
FILL = """
INSERT INTO {schema}.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type)
SELECT stage_id || '-' || i, job_id, stage_id, stage, i, i + 1, 'add'
FROM {schema}.tasks, generate_series(1, %(rows)s) AS i
"""


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def plan_of_claim(session: Session, limit: int) -> Node:
    event = machine_of(TASK).fire(Subject("*", "queued"), "claim").event
    given = {"types": ["add", "multiply"], "limit": limit, "without": ["1-7"], "lease_owner": "me", "lease": 60.0}
    return await plan_of(session, claim_statement(TASKS), {**given, **event_parameters(event)})


async def plan_of(session: Session, statement: str, parameters: Mapping[str, object]) -> Node:
    cursor = await session.connection.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), parameters)
    row = await cursor.fetchone()
    assert row is not None
    plan: Node = row["QUERY PLAN"][0]["Plan"]
    return plan


def indexes_read(plan: Node, alias: str) -> set[str]:
    """The indexes by which the rows of `alias` are found, those below a bitmap too."""
    heaps = [node for node in nodes(plan) if node.get("Alias") == alias and "Scan" in node["Node Type"]]
    return {below["Index Name"] for heap in heaps for below in nodes(heap) if "Index Name" in below}


async def fill_behind_the_planners_back(session: Session, analyzed_rows: int, rows: int = QUEUED) -> None:
    """As many queued rows, and statistics from when there was none, or one."""
    await run(session, "ALTER TABLE {schema}.tasks SET (autovacuum_enabled = off)")
    if not analyzed_rows:
        await run(session, "ANALYZE {schema}.tasks")
    await insert_row(session, TASKS)
    if analyzed_rows:
        await run(session, "ANALYZE {schema}.tasks")
    await run(session, FILL, {"rows": rows})


@pytest.mark.parametrize("limit", [1, 200])
@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_a_claim_on_stale_statistics_neither_scans_nor_sorts_f42(
    session: Session, analyzed_rows: int, limit: int
) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows)
    assert_neither_scanned_nor_sorted(await plan_of_claim(session, limit))


@pytest.mark.parametrize("horizon", [0.0, 30.0])
@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_a_relay_on_stale_statistics_takes_without_scan_or_sort_f42(
    session: Session, analyzed_rows: int, horizon: float
) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows)
    given = {"types": ["add", "multiply"], "limit": 500, "without": ["1-7"], "lease": 5.0, "horizon": horizon}
    assert_neither_scanned_nor_sorted(await plan_of(session, lease_for_send_statement(TASKS), given))


@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_a_claim_by_key_and_a_confirmation_find_their_rows_by_key_f42(
    session: Session, analyzed_rows: int
) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows)
    event = machine_of(TASK).fire(Subject("*", "queued"), "claim").event
    keys = {"keys": [f"1-{i}" for i in range(100)], "lease_numbers": [0] * 100, "send_numbers": [1] * 100}
    by_key = {**keys, "types": ["add"], "lease_owner": "me", "lease": 60.0, **event_parameters(event)}
    confirmed = {**keys, "lease": 5.0, "resend": 300.0, "most": 3600.0}
    for statement, given in ((claim_by_key_statement(TASKS), by_key), (confirm_sent_statement(TASKS), confirmed)):
        plan = await plan_of(session, statement, given)
        scans = [node for node in nodes(plan) if node.get("Relation Name") == "tasks"]
        assert scans
        assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
        assert {node.get("Index Name", "tasks_pkey") for node in scans} == {"tasks_pkey"}


def assert_not_scanned(plan: Node) -> list[Node]:
    """The scans of the tasks, as rows to be picked and rows to be moved: none of them passes over the table."""
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "tasks" and "Scan" in node["Node Type"]]
    assert {node["Alias"] for node in scans} == {"r", "t"}
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
    return scans


def assert_neither_scanned_nor_sorted(plan: Node) -> None:
    scans = assert_not_scanned(plan)
    assert not [node for node in nodes(plan) if "Sort" in node["Node Type"]]
    assert {node["Index Name"] for node in scans if node["Alias"] == "t"} == {"tasks_due"}
    assert indexes_read(plan, "r") == {"tasks_pkey"}


@pytest.mark.parametrize(("rows", "number"), [(10_000, 500), (QUEUED, 1)])
@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_a_move_on_stale_statistics_looks_up_its_keys_and_nothing_else_f42(
    session: Session, analyzed_rows: int, rows: int, number: int
) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows, rows)
    (row,) = await run(session, "SELECT stage_id FROM {schema}.tasks LIMIT 1")
    statement = move_statement(TASKS, "complete")
    inputs = {name: array_text(["1"] * number) for name in statement.inputs}
    inputs["task_id"] = array_text(f"{row['stage_id']}-{index}" for index in range(number))
    plan = await plan_of(session, statement.sql, inputs)
    assert_not_scanned(plan)
    assert indexes_read(plan, "r") == indexes_read(plan, "t") == {"tasks_pkey"}


KEPT = {
    "a claim": (claim_statement(TASKS), {"r": {"tasks_pkey"}, "t": {"tasks_due"}}),
    "a move": (move_statement(TASKS, "complete").sql, {"r": {"tasks_pkey"}, "t": {"tasks_pkey"}}),
}
GIVEN_TO_KEPT = {
    "types": "{add,multiply}",
    "limit": 4,
    "lease_owner": "me",
    "lease": 60.0,
    "event_type": "task_started",
    "event_status": "success",
    "event_data": "{}",
}


@pytest.mark.parametrize("name", KEPT)
async def test_a_plan_that_is_kept_from_when_the_table_was_empty_finds_its_rows_by_key_f42(
    session: Session, url: str, name: str
) -> None:
    """What a worker claims and moves one by one is planned once."""
    await run(session, "ALTER TABLE {schema}.tasks SET (autovacuum_enabled = off)")
    await run(session, "VACUUM ANALYZE {schema}.tasks")
    statement, expected = KEPT[name]
    names: list[str] = []
    for found in re.findall(r"%\((\w+)\)s", statement):
        names += [] if found in names else [found]
    numbered = re.sub(r"%\((\w+)\)s", lambda one: f"${names.index(one[1]) + 1}", statement)
    values = [GIVEN_TO_KEPT.get(one, "{}") if "claim" in name else "{}" for one in names]
    execute = sql.SQL("EXPLAIN (FORMAT JSON) EXECUTE kept({})").format(sql.SQL(", ").join(map(sql.Literal, values)))
    database = Database(url, pool_size=1)
    await database.open()
    async with database.session() as worker:
        await worker.connection.execute("SET plan_cache_mode = force_generic_plan")
        await worker.connection.execute(f"PREPARE kept AS {numbered}".encode())
        await worker.connection.execute(execute)
        await insert_row(session, TASKS)
        await run(session, FILL, {"rows": QUEUED})
        row = await (await worker.connection.execute(execute)).fetchone()
    await database.close()
    assert row is not None
    plan: Node = row["QUERY PLAN"][0]["Plan"]
    assert_not_scanned(plan)
    assert {alias: indexes_read(plan, alias) for alias in expected} == expected


@pytest.mark.parametrize(
    "text", [renew_statement(TASKS), query("flow/lock_tasks", "app").decode()], ids=["renew", "lock"]
)
@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_leases_are_renewed_and_asked_for_by_key_f42(session: Session, analyzed_rows: int, text: str) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows)
    (row,) = await run(session, "SELECT stage_id FROM {schema}.tasks LIMIT 1")
    keys = [f"{row['stage_id']}-{index}" for index in range(1000)]
    given = {"keys": keys, "task_ids": keys, "lease_numbers": [1] * 1000, "begun": [True] * 1000}
    plan = await plan_of(session, text, {**given, "owner": "me", "lease": 60.0})
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "tasks" and "Scan" in node["Node Type"]]
    assert scans
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
    for alias in {node["Alias"] for node in scans}:
        assert indexes_read(plan, alias) == {"tasks_pkey"}

"""F42: a claim reads one range of one index in its order, whatever the statistics say."""

from collections.abc import Iterator
from typing import Any

import pytest

from coremachine.runtime.store.session import Session, event_parameters
from coremachine.sql_generator.claims import claim_statement
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Subject, machine_of
from coremachine.statemachine.tables import TASKS
from tests.integration.rows import born, run

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
    given = {"kinds": ["add", "multiply"], "limit": limit, "lease_owner": "me", "lease": 60.0}
    statement = f"EXPLAIN (FORMAT JSON) {claim_statement(TASKS)}"
    cursor = await session.connection.execute(statement.encode(), {**given, **event_parameters(event)})
    row = await cursor.fetchone()
    assert row is not None
    plan: Node = row["QUERY PLAN"][0]["Plan"]
    return plan


async def fill_behind_the_planners_back(session: Session, analyzed_rows: int) -> None:
    """50 000 queued rows, and statistics from when there was none, or one."""
    await run(session, "ALTER TABLE {schema}.tasks SET (autovacuum_enabled = off)")
    if not analyzed_rows:
        await run(session, "ANALYZE {schema}.tasks")
    await born(session, TASKS)
    if analyzed_rows:
        await run(session, "ANALYZE {schema}.tasks")
    await run(session, FILL, {"rows": QUEUED})


@pytest.mark.parametrize("limit", [1, 200])
@pytest.mark.parametrize("analyzed_rows", [0, 1])
async def test_a_claim_on_stale_statistics_neither_scans_nor_sorts_f42(
    session: Session, analyzed_rows: int, limit: int
) -> None:
    await fill_behind_the_planners_back(session, analyzed_rows)
    plan = await plan_of_claim(session, limit)
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "tasks" and "Scan" in node["Node Type"]]
    assert {node["Alias"] for node in scans} == {"r", "t"}
    assert not [node for node in nodes(plan) if "Sort" in node["Node Type"]]
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
    assert {node["Index Name"] for node in scans if node["Alias"] == "t"} == {"tasks_due"}

"""F42: the history of one job is found by an index among the events of many, whatever the statistics say."""

from collections.abc import Mapping

import pytest

from coremachine.runtime.app.history import CLAIMED
from coremachine.runtime.store.queries import query
from coremachine.runtime.store.session import Session
from coremachine.statemachine.lifecycles import HEADLINES
from tests.integration.rows import run
from tests.integration.test_claim_plan import Node, nodes, plan_of

JOBS, EVENTS = 500, 200
ONE = f"{JOBS // 2:064x}"
FILL = """
INSERT INTO {schema}.jobs (job_id, job_type, stage_count, event_type, event_status, event_data)
SELECT lpad(to_hex(j), 64, '0'), 'sums', 1, 'job_created', 'success', '{}' FROM generate_series(1, %(jobs)s) AS j
"""
TELL = """
INSERT INTO {schema}.job_events (job_id, stage, task_id, lease_number, attempt, event_type, event_status, created_at)
SELECT lpad(to_hex(j), 64, '0'), 1, CASE WHEN e > 5 THEN j || '-' || e END, 1, 1,
       CASE WHEN e > 5 THEN 'task_completed' ELSE 'checkpoint' END, CASE WHEN e > 5 THEN 'success' ELSE 'info' END,
       {schema}.clock() - interval '30 days' + e * interval '1 hour'
FROM generate_series(1, %(events)s) AS e, generate_series(1, %(jobs)s) AS j
"""
LINES = {"everything": False, "headlines": list(HEADLINES)}
READ: Mapping[str, Mapping[str, object]] = {
    "history/timeline_counts": {"job_id": ONE, "claimed": CLAIMED, **LINES},
    "history/timeline_events": {
        "job_id": ONE,
        "short_stages": [1],
        "open_stages": [1],
        "after": 0,
        "limit": 200,
        **LINES,
    },
    "history/last_successful_event": {"job_id": ONE, "failure": None, "failed_stage": None},
    "history/first_failure_event": {"job_id": ONE},
    "history/events_after": {"job_id": ONE, "transaction_id": "0", "event_id": 0, "limit": 500},
    "audit/gaps_found": {"examples": 5},
    "audit/stale_results": {"examples": 5},
}


async def fill(session: Session, *, analyzed: bool) -> None:
    """The events of many jobs, made up past the rules; statistics from when there were none, or of now."""
    await run(session, "ALTER TABLE {schema}.job_events SET (autovacuum_enabled = off)")
    await run(session, "ANALYZE {schema}.job_events")
    await run(session, "SET session_replication_role = replica")
    await run(session, FILL, {"jobs": JOBS})
    await run(session, TELL, {"jobs": JOBS, "events": EVENTS})
    await run(session, "SET session_replication_role = origin")
    if analyzed:
        await run(session, "ANALYZE {schema}.job_events")


def whole_reads(plan: Node) -> list[str]:
    """The scans that read all of the log."""
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "job_events"]
    assert scans
    return [node["Node Type"] for node in scans if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("analyzed", [False, True], ids=["stale statistics", "good statistics"])
async def test_the_history_of_one_job_is_read_by_an_index_f42(session: Session, *, analyzed: bool) -> None:
    await fill(session, analyzed=analyzed)
    for name, parameters in READ.items():
        plan = await plan_of(session, query(name, session.schema).decode(), parameters)
        assert not whole_reads(plan), name

"""`coremachine bench`: it prints what it measured and where, leaves nothing behind, and refuses careless servers."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.acceptance.commands import run, run_json

MADE = "SELECT FROM pg_namespace WHERE nspname LIKE 'bench%'"
ROLES = "SELECT FROM pg_roles WHERE rolname LIKE 'coremachine_bench%'"


def left_behind(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        return len(connection.execute(MADE).fetchall()) + len(connection.execute(ROLES).fetchall())


@pytest.mark.parametrize("shape", [["--flat"], []])
def test_throughput_is_measured_beside_the_ceiling(url: str, shape: list[str]) -> None:
    told = run_json("bench", "throughput", "--tasks", "300", "--workers", "2", "--runs", "1", "--json", *shape, url=url)
    assert told["tasks_per_second"] > 0
    assert told["share_of_ceiling"] == pytest.approx(
        told["tasks_per_second"] / told["ceiling_tasks_per_second"], rel=0.01
    )
    # a birth, a claim and a completion, and an event for each of the last two; a few more for jobs and stages
    assert 5.0 <= told["row_versions_per_task"] < 5.2
    assert 2.0 <= told["events_per_task"] < 2.2
    assert told["wal_bytes_per_task"] > 500
    assert told["where"]["settings"]["fsync"] == "on"
    assert {"machine", "cpus", "python", "coremachine", "psycopg", "postgresql"} < told["where"].keys()
    assert left_behind(url) == 0


def test_latency_is_measured_from_submission_to_handler(url: str) -> None:
    told = run_json("bench", "latency", "--samples", "5", "--json", url=url)
    assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["most_ms"]
    assert left_behind(url) == 0


def test_the_price_of_each_rule_is_told(url: str) -> None:
    told = run_json("bench", "rule", "--tasks", "300", "--runs", "1", "--json", url=url)
    assert set(told["variants"]) == {
        "all rules",
        "no guards",
        "no guards, events told by the client",
        "no guards, no events",
    }
    assert told["transitions_us_per_move"] > 0
    assert left_behind(url) == 0


@pytest.mark.parametrize("command", ["throughput", "latency", "rule"])
def test_a_server_that_may_lose_what_it_commits_is_refused(url: str, command: str) -> None:
    careless = make_conninfo(url, options="-c synchronous_commit=off")
    refused = run("bench", command, url=careless, code=1)
    assert "synchronous_commit is off" in refused.stderr
    assert refused.stdout == ""
    assert left_behind(url) == 0

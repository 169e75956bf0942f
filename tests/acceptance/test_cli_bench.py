"""`coremachine bench`: it prints its results, leaves nothing behind, and refuses servers that are not durable."""

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
def test_throughput_is_compared_with_the_upper_bound(url: str, shape: list[str]) -> None:
    report = run_json(
        "bench", "throughput", "--tasks", "300", "--workers", "2", "--runs", "1", "--json", *shape, url=url
    )
    assert report["tasks_per_second"] > 0
    assert report["share_of_upper_bound"] == pytest.approx(
        report["tasks_per_second"] / report["upper_bound_tasks_per_second"], rel=0.01
    )
    # an insert, a claim and a completion, and an event for each of the last two; a few more for jobs and stages
    assert 5.0 <= report["row_versions_per_task"] < 5.2
    assert 2.0 <= report["events_per_task"] < 2.2
    assert report["wal_bytes_per_task"] > 500
    assert report["where"]["settings"]["fsync"] == "on"
    assert {"machine", "cpus", "python", "coremachine", "psycopg", "postgresql"} < report["where"].keys()
    assert left_behind(url) == 0


def test_latency_is_measured_from_submission_to_handler(url: str) -> None:
    report = run_json("bench", "latency", "--samples", "5", "--json", url=url)
    assert 0 < report["p50_ms"] <= report["p99_ms"] <= report["most_ms"]
    assert left_behind(url) == 0


def test_the_overhead_of_each_rule_is_measured(url: str) -> None:
    report = run_json("bench", "overhead", "--tasks", "300", "--runs", "1", "--json", url=url)
    assert set(report["variants"]) == {
        "all rules",
        "no guards",
        "no guards, events written by the client",
        "no guards, no events",
    }
    assert report["transitions_us_per_move"] > 0
    assert left_behind(url) == 0


@pytest.mark.parametrize("command", ["throughput", "latency", "overhead", "rule"])
def test_a_server_that_may_lose_what_it_commits_is_refused(url: str, command: str) -> None:
    not_durable = make_conninfo(url, options="-c synchronous_commit=off")
    refused = run("bench", command, url=not_durable, code=1)
    assert "synchronous_commit is off" in refused.stderr
    assert refused.stdout == ""
    assert left_behind(url) == 0

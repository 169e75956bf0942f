"""`coremachine audit` and `coremachine why`: their output for people, and their exit codes for monitoring."""

import re
from typing import Any

import pytest

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.cli.terminal import program_command
from tests.acceptance.commands import JOBS, error_of, run, run_json
from tests.acceptance.declared_jobs import failing, sums, thanked
from tests.databases import OpenApp
from tests.integration.damages import ALIVE
from tests.integration.rows import open_session
from tests.integration.rows import run as execute

WAITS_LONG = "UPDATE app.jobs SET due_at = app.clock() - interval '1 hour' WHERE status = 'queued'"
COUNTS_TOO_MANY = "UPDATE app.jobs SET stage_count = 7"
GAP_FOUND = """INSERT INTO app.job_events (job_id, event_type, event_status, event_data)
SELECT job_id, 'gap_found', 'warning', '{"gap": "no message"}' FROM app.jobs"""


async def as_owner(url: str, statement: str) -> None:
    """Run a statement as the owner of the schema."""
    async with open_session(url) as session:
        await execute(session, "SET coremachine.repairing = 'on'")
        await execute(session, statement)


async def submitted(app: AsyncCoreMachine) -> str:
    return (await app.submit(sums, first=1)).id


async def test_a_clean_database_exits_with_0(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums, failing, thanked)
    await submitted(app)
    await app.submit(failing, count=3)
    await app.submit(thanked, first=2)
    await app.work(until_idle=True)
    output = run("audit", url=url).stdout
    assert output.endswith(" checks: no problems found\n")
    assert run_json("audit", "--json", url=url) | {"checked": []} == {"trouble": None, "checked": [], "findings": []}


async def test_a_critical_finding_exits_with_3_and_names_rows_and_remedy(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = await submitted(app)
    await as_owner(url, COUNTS_TOO_MANY)
    header, finding, example, last = run("audit", url=url, code=3).stdout.splitlines()
    assert header.split() == ["id", "severity", "rows", "gap", "remedy"]
    assert finding.split()[:3] == ["GAP-10", "critical", "1"]
    assert "SELECT app.repair_job('JOB')" in finding
    assert example == f"  GAP-10: job {job[:12]}, job: stages, open, completed, tasks: says 7, 1, 0, 0; has 1, 1, 0, 0"
    assert last.endswith("worst finding: critical")


async def test_a_medium_finding_alone_exits_with_4(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    await submitted(app)
    await as_owner(url, WAITS_LONG)
    assert "GAP-20" in run("audit", url=url, code=3).stdout
    await as_owner(url, ALIVE)
    assert run("audit", url=url, code=4).stdout.splitlines()[-1].endswith("worst finding: medium")


async def test_an_informational_finding_exits_with_0(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    await submitted(app)
    await as_owner(url, GAP_FOUND)
    output = run("audit", url=url).stdout
    assert "GAP-24" in output
    assert output.endswith("no problems found\n")


async def test_findings_as_json_hold_their_rows(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = await submitted(app)
    await as_owner(url, COUNTS_TOO_MANY)
    output: dict[str, Any] = run_json("audit", "--json", url=url, code=3)
    assert output["trouble"] == "critical"
    assert "GAP-11" in output["checked"]
    (found,) = output["findings"]
    assert (found["id"], found["severity"], found["count"]) == ("GAP-10", "critical", 1)
    assert found["remedy"]
    assert found["examples"][0]["job_id"] == job


async def test_a_single_check_is_run_by_its_id_in_any_case(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    await submitted(app)
    await as_owner(url, COUNTS_TOO_MANY)
    assert run("audit", "--only", "gap-11", url=url).stdout == "1 check: no problems found\n"
    run("audit", "--only", "GAP-11", "--only", "GAP-10", url=url, code=3)


def test_a_check_that_does_not_exist_is_an_error_that_lists_those_that_do(url: str) -> None:
    assert error_of("audit", "--only", "GAP-99", url=url).startswith("the audit has no check GAP-99; it has GAP-8, ")


async def test_findings_are_recorded_on_request(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = await submitted(app)
    await as_owner(url, COUNTS_TOO_MANY)
    run("audit", "--record", url=url, code=3)
    assert "gap_found" in await app.timeline(job)


async def test_a_drifted_schema_is_a_finding_and_no_schema_an_error(url: str, empty_url: str) -> None:
    await as_owner(url, "UPDATE app.installed SET digest = repeat('0', 64)")
    (found,) = run_json("audit", "--json", url=url, code=3)["findings"]
    assert (found["id"], found["severity"]) == ("GAP-16", "critical")
    assert "is not installed" in error_of("audit", url=empty_url)


async def test_why_prints_eight_lines(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums)
    job = await submitted(app)
    lines = run("why", job, "--utc", url=url).stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        f"Job: {job[:6]} - sums",
        "verdict",
        "last successful",
        "first failure",
        "waits for",
        "held by",
        "until",
        "next",
    ]
    assert lines[1].split() == ["verdict", "waiting", "(the", "job", "is", "queued)"]
    assert "no worker is alive" in lines[4]


@pytest.mark.parametrize(("damage", "code", "verdict"), [(WAITS_LONG, 3, "stalled"), ("SELECT 1", 0, "waiting")])
async def test_why_exits_with_3_where_a_job_is_stalled(
    url: str, open_app: OpenApp, damage: str, code: int, verdict: str
) -> None:
    app = await open_app(sums)
    job = await submitted(app)
    await as_owner(url, damage)
    assert run_json("why", job[:8], "--json", url=url, code=code)["verdict"] == verdict


async def test_why_exits_with_4_for_a_job_that_failed_or_was_cancelled_and_0_once_completed(
    url: str, open_app: OpenApp
) -> None:
    app = await open_app(sums, failing)
    cancelled = await app.submit(sums, first=1)
    await app.cancel(cancelled.id, "not wanted")
    failed, completed = await app.submit(failing, count=3), await app.submit(sums, first=2)
    await app.work(until_idle=True)
    output: dict[str, Any] = run_json("why", failed.id, "--json", url=url, code=4)
    assert (output["verdict"], output["error_type"], output["error"]) == ("failed", "ValueError", "one is too many")
    assert output["next_steps"] == [
        f"{program_command()} resume {output['short_id']}",
        f"{program_command()} worker --app MODULE",
    ]
    lines = run("why", failed.id, url=url, code=4).stdout
    assert re.search(r"task_failed \(task-003\) at [0-9:]{8}: ValueError: one is too many\n", lines)
    assert re.search(r"\nended +job_failed at [0-9:]{8} \(a task of this stage failed\)\n", lines)
    lines = run("why", cancelled.id, url=url, code=4).stdout
    assert re.search(r"\nverdict +cancelled\n", lines)
    assert re.search(r"\nended +job_cancelled at [0-9:]{8} \(not wanted\)\n", lines)
    assert run_json("why", completed.id, "--json", url=url)["verdict"] == "completed"


async def test_the_next_step_can_be_typed_as_it_is_printed(url: str, open_app: OpenApp) -> None:
    app = await open_app(failing)
    job = await app.submit(failing, count=3)
    await app.work(until_idle=True)
    asked = ("why", job.id, "--url", url, "--schema", "app", "--app", str(JOBS))
    resume, worker = run(*asked, code=4).stdout.splitlines()[-1].removeprefix("next").strip().split("; ")
    assert resume == f"{program_command()} resume {job.id[:6]} --url URL --schema app"
    assert worker == f"{program_command()} worker --app {JOBS} --url URL --schema app"


def test_why_of_an_unknown_job_is_an_error(url: str) -> None:
    assert error_of("why", "abc", url=url) == "no job has the id abc; `coremachine jobs` lists them"

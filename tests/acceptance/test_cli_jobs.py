import pytest

from coremachine.runtime.cli.terminal import short_ids
from tests.acceptance.commands import error_of, run, run_json
from tests.acceptance.declared_jobs import failing, sums
from tests.databases import OpenApp


async def test_jobs_are_listed_with_their_stage_and_tasks(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums, failing)
    good = await app.submit(sums, first=1)
    bad = await app.submit(failing, count=3)
    await app.work(until_idle=True)
    waiting = await app.submit(sums, first=2)
    header, *lines = [line.split() for line in run("jobs", url=url).stdout.splitlines()]
    assert header == ["job", "type", "status", "stage", "tasks", "age", "duration"]
    assert [line[0] for line in lines] == [one.id[:6] for one in (waiting, bad, good)]
    assert [line[1:5] for line in lines] == [
        ["sums", "queued", "0/1", "0/0"],
        ["failing", "failed", "2/2", "4/4"],
        ["sums", "completed", "1/1", "1/1"],
    ]


async def test_jobs_are_filtered_by_status_and_type_and_limited(url: str, open_app: OpenApp) -> None:
    app = await open_app(sums, failing)
    for first in range(3):
        await app.submit(sums, first=first)
    bad = await app.submit(failing, count=3)
    newest = run_json("jobs", "--limit", "2", "--json", url=url)
    assert [job["job_type"] for job in newest] == ["failing", "sums"]
    assert [job["job_id"] for job in run_json("jobs", "--type", "failing", "--json", url=url)] == [bad.id]
    assert run_json("jobs", "--status", "completed", "--json", url=url) == []
    assert newest[0]["status"] == "queued"
    assert newest[0]["tasks_total"] == 0


def test_no_jobs_is_the_whole_output(url: str) -> None:
    assert run("jobs", url=url).stdout == "no jobs\n"


@pytest.mark.parametrize("arguments", [("--status", "lost"), ("--limit", "0"), ("--colour",)])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    done = run("jobs", *arguments, code=2)
    assert done.stdout == ""
    assert "Usage: coremachine jobs" in done.stderr


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    message = error_of("jobs", "--url", "postgresql://me:secret@127.0.0.1:1/there")
    assert message.startswith("no connection to 127.0.0.1:1/there: ")
    assert "secret" not in message


def test_an_error_for_a_database_without_the_schema_names_the_command(empty_url: str) -> None:
    message = error_of("jobs", url=empty_url)
    assert message == "schema app is not installed; run `coremachine db install` against this database"


def test_an_invalid_setting_is_named(url: str) -> None:
    message = error_of("jobs", url=url, COREMACHINE_POOL_SIZE="many")
    assert message.startswith("settings: pool_size: Input should be a valid integer")


def test_a_short_id_is_the_shortest_unambiguous_prefix() -> None:
    ids = ["abcdef00", "abcdef01", "abcd0000", "ffffffff"]
    assert list(short_ids(ids).values()) == ["abcd00", "abcdef00", "abcdef01", "ffffff"]


def test_help_says_what_a_command_is_for() -> None:
    assert "List the latest jobs" in run("jobs", "--help").stdout
    assert "Pipelines of jobs, stages and tasks on PostgreSQL" in run("-h").stdout

import json
from pathlib import Path

import pytest

from tests.acceptance.commands import JOBS, error_of, run, run_json

APP = ("--app", str(JOBS))


def test_a_submission_prints_id_state_and_next_step(url: str) -> None:
    output = run("submit", "sums", "first=1", *APP, url=url).stdout
    lines = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert len(lines["job"]) == 64
    assert lines["type"] == "sums"
    assert lines["created"] == "now"
    assert lines["status"] == "queued"
    assert f"worker --app {JOBS}" in lines["next"]
    assert f"timeline {lines['job'][:12]} --follow" in lines["next"]


def test_the_same_submission_again_finds_the_job_and_a_key_makes_another(url: str) -> None:
    first = run_json("submit", "sums", "first=1", "--json", *APP, url=url)
    again = run_json("submit", "sums", "first=1", "second=1", "--json", *APP, url=url)
    other = run_json("submit", "sums", "first=1", "--key", "b", "--json", *APP, url=url)
    assert (first["created"], again["created"], other["created"]) == (True, False, True)
    assert first["id"] == again["id"] != other["id"]
    assert "timeline" in again["next_step"]


def test_values_are_read_as_the_parameters_are_declared(url: str) -> None:
    run("submit", "sums", "first=41", "note=12", "label=null", "--key", "a", *APP, url=url)
    run("submit", "sums", "first=41", "note=null", "label=12", "--key", "b", *APP, url=url)
    run("worker", "--until-idle", *APP, url=url)
    a = run_json("submit", "sums", "first=41", "note=12", "--key", "a", "--json", *APP, url=url)
    b = run_json("submit", "sums", "first=41", "note=null", "label=12", "--key", "b", "--json", *APP, url=url)
    assert a["result"] == {"sum": 42, "note": "12", "label": None}
    assert b["result"] == {"sum": 42, "note": "null", "label": "12"}


def test_parameters_come_from_a_file_or_standard_input_and_pairs_override_them(url: str, tmp_path: Path) -> None:
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"first": 1, "second": 5}))
    from_file = run_json("submit", "sums", "--params", str(file), "--json", *APP, url=url)
    same = run_json("submit", "sums", "first=1", "second=5", "--json", *APP, url=url)
    read = run(
        "submit", "sums", "second=5", "--params", "-", "--json", *APP, url=url, stdin='{"first": 1, "second": 7}'
    )
    assert from_file["id"] == same["id"] == json.loads(read.stdout)["id"]


def test_waiting_ends_with_the_job_and_prints_its_result(url: str) -> None:
    run("submit", "sums", "first=1", *APP, url=url)
    run("worker", "--until-idle", *APP, url=url)
    output = run("submit", "sums", "first=1", "--wait", *APP, url=url)
    assert "ended   completed" in output.stdout
    assert '"sum": 2' in output.stdout
    assert output.stderr == "stage 1/1 add: completed, 1/1 tasks\n"


def test_waiting_for_a_job_that_fails_exits_with_1(url: str) -> None:
    run("submit", "failing", "count=3", *APP, url=url)
    run("worker", "--until-idle", *APP, url=url)
    ended = run_json("submit", "failing", "count=3", "--wait", "--json", *APP, url=url, code=1)
    assert ended["status"] == "failed"
    assert ended["error"]["message"] == "one is too many"
    assert "resume" in ended["next_step"]


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("nothing",), "job type nothing is not declared here; declared: sums, failing, holding, hanging, thanked"),
        (("sums", "first=x"), "sums does not accept these parameters: first: Input should be a valid integer"),
        (("sums", "first=1", "third=3"), "third: unknown parameter"),
        (("sums",), "first: missing"),
        (("sums", "--params", "/nowhere/x.json"), "--params /nowhere/x.json: cannot be read: No such file"),
    ],
)
def test_a_refused_submission_is_an_error_in_one_line(url: str, arguments: tuple[str, ...], output: str) -> None:
    assert output in error_of("submit", *arguments, *APP, url=url)


@pytest.mark.parametrize(("text", "output"), [("{", "is not JSON"), ("[1]", "a JSON object of parameters, not a list")])
def test_a_bad_file_of_parameters_is_refused(url: str, text: str, output: str) -> None:
    assert output in error_of("submit", "sums", "--params", "-", *APP, url=url, stdin=text)


@pytest.mark.parametrize("pairs", [("first",), ("=1",), ("first=1", "first=2")])
def test_a_malformed_pair_is_wrong_usage(url: str, pairs: tuple[str, ...]) -> None:
    assert "Usage: coremachine submit" in run("submit", "sums", *pairs, *APP, url=url, code=2).stderr

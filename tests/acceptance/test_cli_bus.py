"""`coremachine bus`, and the commands that take `--bus servicebus`, over the real SDK."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import COMMAND, JOBS, environment, error_of, run, run_json
from tests.servicebus.brokers import Broker

QUEUES = ("coremachine-jobs", "coremachine-tasks")


@pytest.fixture
def ready(broker: Broker) -> Broker:
    """The broker with the queues that the declared jobs need, empty."""
    for queue in QUEUES:
        broker.create_queue(queue)
    return broker


SEEN = ("send", "receive", "settle", "lock", "duplicate detection", "dead letters", "settings")


def test_a_check_reports_what_works_with_each_queue_and_leaves_nothing_in_it(broker: Broker) -> None:
    for queue in QUEUES:
        broker.create_queue(queue, requires_duplicate_detection=True)
    done = run("bus", "check", "--app", str(JOBS), "--json", COREMACHINE_SERVICEBUS=broker.connection_string)
    checked = json.loads(done.stdout)
    assert [(one["queue"], one["what"]) for one in checked] == [(queue, what) for queue in QUEUES for what in SEEN]
    assert {one["what"]: one["status"] for one in checked} == {**dict.fromkeys(SEEN, "ok"), "settings": "unknown"}
    assert [(broker.counters(queue).completed, broker.counters(queue).held) for queue in QUEUES] == [(1, 0)] * 2


def test_a_check_of_queues_with_settings_that_hurt_exits_1_and_names_them(ready: Broker) -> None:
    for queue in QUEUES:
        ready.configure(queue, lock_duration=5.0)
    given: dict[str, Any] = {"COREMACHINE_SERVICEBUS": ready.connection_string}
    output = run("bus", "check", "--app", str(JOBS), code=1, **given).stdout
    assert output.count("HURTS    coremachine-") == 4
    assert "at least 10 s" in output
    assert "the same id arrived twice" in output


def test_a_check_of_queues_that_do_not_exist_says_what_to_do(broker: Broker) -> None:
    given: dict[str, Any] = {"COREMACHINE_SERVICEBUS": broker.connection_string, "COREMACHINE_QUEUE_PREFIX": "missing-"}
    done = run("bus", "check", "--app", str(JOBS), code=1, **given)
    assert done.stdout.count("REFUSED  missing-coremachine-") == 6
    assert "`coremachine bus template` prints what to create" in done.stdout


def test_a_check_without_a_namespace_names_the_setting() -> None:
    assert "COREMACHINE_SERVICEBUS" in error_of("bus", "check", "--app", str(JOBS))


def test_the_template_names_every_queue_for_azure_and_for_the_emulator() -> None:
    bicep = run("bus", "template", "--app", str(JOBS)).stdout
    assert re.findall(r"^  '(coremachine-\w+)'$", bicep, re.MULTILINE) == list(QUEUES)
    assert bicep.count("{") == bicep.count("}")
    emulator = json.loads(run("bus", "template", "--app", str(JOBS), "--to", "emulator").stdout)
    (namespace,) = emulator["UserConfig"]["Namespaces"]
    assert [queue["Name"] for queue in namespace["Queues"]] == list(QUEUES)
    windows = {queue["Properties"]["DuplicateDetectionHistoryTimeWindow"] for queue in namespace["Queues"]}
    assert windows == {"PT5M"}, "the documented maximum of the emulator"


@pytest.mark.parametrize("prefix", ["", "mine-"])
def test_the_demo_runs_over_the_sdk_on_a_broker_that_it_starts_itself(url: str, tmp_path: Path, prefix: str) -> None:
    given: dict[str, Any] = {"COREMACHINE_QUEUE_PREFIX": prefix}
    done = run("demo", "--bus", "servicebus", url=url, cwd=tmp_path, **given)
    assert "Azure Service Bus SDK to a test broker" in done.stdout
    assert "Last successful: job_completed at " in done.stdout
    assert (tmp_path / "hillshade.png").exists()


def test_ctrl_c_in_the_demo_is_for_the_demo_and_its_broker_ends_with_it_in_silence(url: str, tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "demo", "--bus", "servicebus"],
        env=environment(url, PYTHONUNBUFFERED="1"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    assert any("test broker on this machine" in line for line in demo.stdout)
    os.killpg(demo.pid, signal.SIGINT)
    # the broker writes to the same standard error, which ends when both are gone
    _, error = demo.communicate(timeout=60)
    assert "KeyboardInterrupt" not in error
    assert demo.returncode != 0


def test_a_worker_of_the_command_line_runs_a_job_over_service_bus(ready: Broker, url: str) -> None:
    given: dict[str, Any] = {"COREMACHINE_SERVICEBUS": ready.connection_string, "COREMACHINE_BUS": "servicebus"}
    made = run("submit", "sums", "first=2", "--app", str(JOBS), "--json", url=url, **given)
    assert json.loads(made.stdout)["status"] == "queued"
    run("worker", "--app", str(JOBS), "--until-idle", url=url, **given)
    (job,) = run_json("jobs", "--json", url=url)
    assert job["status"] == "completed"
    assert ready.counters(QUEUES[1]).completed >= 1


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "azure").mkdir()
    (tmp_path / "azure" / "__init__.py").write_text("raise ModuleNotFoundError('no azure', name='azure')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    given: dict[str, Any] = {"PYTHONPATH": path, "COREMACHINE_SERVICEBUS": "mine"}
    assert "coremachine[azure]" in error_of("bus", "check", "--app", str(JOBS), **given)

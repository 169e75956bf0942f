"""The broker as an AMQP client sees it that is neither this project's nor Azure's: Apache Qpid Proton."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .brokers import Broker

PROGRAM = Path(__file__).with_name("proton_client.py")
INTERPRETERS = (sys.executable, "/usr/bin/python3")


def interpreter() -> str | None:
    """One that has Proton: this one, or the system's (Debian: python3-qpid-proton)."""
    for found in filter(shutil.which, INTERPRETERS):
        if subprocess.run([found, "-c", "import proton"], check=False, capture_output=True).returncode == 0:
            return found
    return None


@pytest.fixture(scope="module")
def seen(broker: Broker) -> dict[str, Any]:
    python = interpreter()
    if python is None:
        pytest.skip("needs Apache Qpid Proton for Python (Debian: apt-get install python3-qpid-proton)")
    queue = broker.create_queue("proton", max_message_size=4 * 1024 * 1024)
    small = broker.create_queue("proton-small", max_message_size=1000)
    run = [python, str(PROGRAM), broker.address, queue, small]
    ended = subprocess.run(run, check=False, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_proton_is_granted_its_token(seen: dict[str, Any]) -> None:
    assert seen["token"] == 202


def test_proton_reads_each_message_and_what_the_broker_says_of_it(seen: dict[str, Any]) -> None:
    expected = [
        {
            "body": "x" * 200,
            "id": f"m{number}",
            "count": 0,
            "properties": {"number": number},
            "sequence": number + 1,
            "locked": True,
        }
        for number in range(4)
    ]
    assert seen["outcomes"]["first"] == expected


def test_proton_sees_again_what_it_failed_with_counted_and_what_it_released_uncounted(seen: dict[str, Any]) -> None:
    assert [(each["id"], each["count"]) for each in seen["outcomes"]["again"]] == [("m2", 1), ("m3", 0)]


def test_what_proton_rejected_is_dead_lettered(broker: Broker, seen: dict[str, Any]) -> None:
    assert seen
    assert [dead.message_id for dead in broker.dead_letters("proton")] == ["m1"]


def test_a_message_of_many_frames_reaches_proton_whole(seen: dict[str, Any]) -> None:
    assert seen["large"] == {"whole": True}


def test_proton_sends_and_receives_more_than_its_first_credit_in_order(seen: dict[str, Any]) -> None:
    assert seen["many"] == {"ordered": True}


def test_credit_that_proton_takes_back_is_used_up(seen: dict[str, Any]) -> None:
    assert seen["drained"] == {"credit": 0}


def test_proton_peeks_and_renews_through_management(seen: dict[str, Any]) -> None:
    found = seen["management"]
    assert (found["peek"], found["peeked"]["id"], found["peeked"]["locked"]) == (200, "peeked", False)
    assert (found["renewed"], found["until"], found["lost"]) == (200, 1, 410)


def test_proton_is_told_of_a_queue_that_is_missing_and_of_a_message_too_large(seen: dict[str, Any]) -> None:
    assert seen["refusals"] == {"nowhere": "amqp:not-found", "too big": True}


def test_nothing_of_protons_is_left(broker: Broker, seen: dict[str, Any]) -> None:
    assert seen
    assert broker.messages("proton") == []

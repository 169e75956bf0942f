import json
import socket
from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from .brokers import BrokerProcess, RemoteBroker
from .control import CommandRefusedError
from .fixtures import QUICK
from .server import LOOPBACK


@pytest.fixture(scope="module")
def broker_process() -> Iterator[BrokerProcess]:
    with BrokerProcess({"tasks": {"requires_duplicate_detection": True}, "jobs": None}) as running:
        yield running


def test_a_broker_in_a_process_of_its_own_is_governed_from_here(broker_process: BrokerProcess) -> None:
    broker_process.lose_send_ack("tasks")
    with (
        ServiceBusClient.from_connection_string(broker_process.connection_string, **QUICK) as client,
        client.get_queue_sender("tasks") as sender,
    ):
        sender.send_messages(ServiceBusMessage("one", message_id="one"))
    assert [told.message_id for told in broker_process.messages("tasks")] == ["one"]
    assert broker_process.counters("tasks").duplicates == 1
    assert broker_process.struck("lose_reply", "send") == 1


def test_another_process_governs_it_by_its_port_even_while_it_is_down(broker_process: BrokerProcess) -> None:
    another = RemoteBroker(broker_process.port)
    another.stop()
    with pytest.raises(ConnectionRefusedError):
        RemoteBroker(broker_process.port)
    another.start()
    another.close()
    RemoteBroker(broker_process.port).close()


def test_a_command_that_makes_no_sense_is_refused_with_a_reason(broker_process: BrokerProcess) -> None:
    with pytest.raises(CommandRefusedError, match="nowhere"):
        broker_process.counters("nowhere")
    assert (
        "no fault 'explode' at 'send'" in broker_process.ask({"do": "fault", "kind": "explode", "at": "send"})["error"]
    )
    with pytest.raises(CommandRefusedError, match="colour"):
        broker_process.create_queue("more", colour="red")


def test_commands_are_lines_of_json(broker_process: BrokerProcess) -> None:
    with socket.create_connection((LOOPBACK, broker_process.port)) as line, line.makefile("rb") as answers:
        line.sendall(b'{"do": "messages", "name": "jobs"}\n')
        assert json.loads(answers.readline()) == {"ok": []}


def test_the_process_ends_with_its_block() -> None:
    with BrokerProcess() as running:
        pass
    assert running.process.returncode == 0

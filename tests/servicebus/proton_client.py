"""What Apache Qpid Proton makes of the broker. Run by an interpreter that has `proton`, and by nothing else.

It is given the broker's address and two queues, and prints what it saw as JSON. It imports nothing of this project's:
the codec that it speaks is neither the broker's nor the SDK's.
"""

import importlib
import json
import sys
import uuid
from typing import Any

# Untyped, and not there for the interpreter that checks the types.
proton: Any = importlib.import_module("proton")
utils: Any = importlib.import_module("proton.utils")

BODY = "x" * 200
PATIENCE = 20


class LinkMode:
    """How a receiver's deliveries are settled. Proton asks an option for its `test` before it applies it."""

    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value

    def test(self, link: Any) -> bool:
        """Say whether the link is one to set."""
        return bool(link.is_receiver)

    def apply(self, link: Any) -> None:
        """Set it."""
        setattr(link, self.name, self.value)


CONFIRMED = LinkMode("rcv_settle_mode", proton.Link.RCV_SECOND)
PRE_SETTLED = LinkMode("snd_settle_mode", proton.Link.SND_SETTLED)


def token(connection: Any, queue: str) -> Any:
    """Put a token; the status that is answered."""
    return ask(
        connection,
        "$cbs",
        proton.Message(
            body="any token",
            properties={"operation": "put-token", "type": "jwt", "name": "sb://localhost/" + queue},
        ),
    ).properties["status-code"]


def ask(connection: Any, node: str, request: Any) -> Any:
    """Send a request, and wait for its answer on a link of its own."""
    answers = connection.create_receiver(node, name="answers-" + str(uuid.uuid4()), credit=1)
    sender = connection.create_sender(node)
    request.id, request.reply_to = uuid.uuid4(), "answers"
    sender.send(request)
    answer = answers.receive(PATIENCE)
    assert answer.correlation_id == request.id, (answer.correlation_id, request.id)
    sender.close()
    answers.close()
    return answer


def told(message: Any) -> dict[str, Any]:
    """What a message says of itself."""
    return {
        "body": message.body,
        "id": message.id,
        "count": message.delivery_count,
        "properties": message.properties,
        "sequence": message.annotations["x-opt-sequence-number"],
        "locked": "x-opt-locked-until" in message.annotations,
    }


def managed(connection: Any, queue: str, operation: str, body: Any) -> tuple[int, Any]:
    """Ask `$management` of a queue: status and body of the answer."""
    name = {"operation": "com.microsoft:" + operation}
    answer = ask(connection, queue + "/$management", proton.Message(body=body, properties=name))
    return answer.properties["statusCode"], answer.body


def outcomes(connection: Any, queue: str) -> dict[str, Any]:
    """Settle one message in each way that AMQP knows, and see what comes again."""
    sender = connection.create_sender(queue)
    for number in range(4):
        sender.send(proton.Message(id=f"m{number}", body=BODY, durable=True, properties={"number": number}))
    receiver = connection.create_receiver(queue, credit=4, options=[CONFIRMED])
    first = [told(receiver.receive(PATIENCE)) for _ in range(4)]
    receiver.accept()
    receiver.reject()
    receiver.fetcher.unsettled[0].local.failed = True
    receiver.release(delivered=True)
    receiver.release(delivered=False)
    receiver.link.flow(2)
    again = [told(receiver.receive(PATIENCE)) for _ in range(2)]
    receiver.accept()
    receiver.accept()
    receiver.close()
    sender.close()
    return {"first": first, "again": again}


def large(connection: Any, queue: str) -> dict[str, Any]:
    """A message of many frames, both ways, deleted as it is received."""
    sender = connection.create_sender(queue)
    body = "0123456789" * 300_000
    sender.send(proton.Message(body=body))
    receiver = connection.create_receiver(queue, credit=1, options=[PRE_SETTLED])
    whole = receiver.receive(PATIENCE).body == body
    receiver.close()
    sender.close()
    return {"whole": whole}


def drained(connection: Any, queue: str) -> dict[str, Any]:
    """Credit that a receiver takes back from an empty queue is used up."""
    receiver = connection.create_receiver(queue, credit=0)
    receiver.link.drain(7)
    connection.wait(lambda: not receiver.link.draining(), timeout=PATIENCE)
    left = receiver.link.credit
    receiver.close()
    return {"credit": left}


def many(connection: Any, queue: str, count: int = 3000) -> dict[str, Any]:
    """More messages than the credit of a link, so that it has to be renewed."""
    sender = connection.create_sender(queue)
    sent = [sender.link.send(proton.Message(id=str(number), body=BODY)) for number in range(count)]
    connection.wait(lambda: all(delivery.settled for delivery in reversed(sent)), timeout=PATIENCE)
    receiver = connection.create_receiver(queue, credit=500, options=[PRE_SETTLED])
    ids = [receiver.receive(PATIENCE).id for _ in range(count)]
    receiver.close()
    sender.close()
    return {"ordered": ids == [str(number) for number in range(count)]}


def refusals(connection: Any, queue: str) -> dict[str, Any]:
    """What a link to nowhere, and a message beyond the limit, are answered."""
    found: dict[str, Any] = {}
    try:
        connection.create_sender("nowhere")
    except (utils.LinkDetached, proton.LinkException) as error:
        found["nowhere"] = getattr(error, "condition", None) or str(error)
    try:
        connection.create_sender(queue).send(proton.Message(body="x" * 2000))
    except utils.SendException as error:
        found["too big"] = error.state == proton.Delivery.REJECTED
    return found


def management(connection: Any, queue: str) -> dict[str, Any]:
    """Peek, renew a lock, cancel what was never scheduled."""
    sender = connection.create_sender(queue)
    sender.send(proton.Message(id="peeked", body=BODY))
    status, body = managed(connection, queue, "peek-message", {"from-sequence-number": 0, "message-count": 5})
    peeked = proton.Message()
    peeked.decode(body["messages"][0]["message"])
    receiver = connection.create_receiver(queue, credit=1)
    receiver.receive(PATIENCE)
    lock = uuid.UUID(bytes_le=receiver.fetcher.unsettled[0].tag.encode("utf-8", "surrogateescape"))
    array = proton.Array(proton.UNDESCRIBED, proton.Data.UUID, lock)
    renewed, expirations = managed(connection, queue, "renew-lock", {"lock-tokens": array})
    receiver.accept()
    lost, _ = managed(connection, queue, "renew-lock", {"lock-tokens": array})
    return {
        "peek": status,
        "peeked": told(peeked),
        "renewed": renewed,
        "lost": lost,
        "until": len(expirations["expirations"].elements),
    }


def main(address: str, queue: str, small: str) -> None:
    """Do it all over one connection."""
    connection = utils.BlockingConnection(address, timeout=PATIENCE)
    seen = {
        "token": token(connection, queue),
        "outcomes": outcomes(connection, queue),
        "large": large(connection, queue),
        "drained": drained(connection, small),
        "many": many(connection, queue),
        "management": management(connection, queue),
        "refusals": refusals(connection, small),
    }
    connection.close()
    json.dump(seen, sys.stdout, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])

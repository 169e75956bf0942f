"""A Service Bus for tests: AMQP 1.0 over TCP on loopback, in pure Python; the real SDK connects to it.

    from tests.servicebus import Broker

    with Broker({"tasks": {"lock_duration": 5, "requires_duplicate_detection": True}}) as broker:
        client = ServiceBusClient.from_connection_string(broker.connection_string)

`Broker` runs in a thread; `BrokerProcess` takes the same arguments and runs in a process of its own, so that its CPU is
not the test's; `RemoteBroker(port)` governs one that runs already. By hand:

    python -m tests.servicebus --port 5672 --queue tasks --queue 'jobs={"max_delivery_count": 3}'

prints the connection string and runs until its standard input ends. Commands go to the same port: a connection whose
first byte is `{` carries lines of JSON, `{"do": "counters", "name": "tasks"}`, answered by `{"ok": ...}` or
`{"error": ...}`; the commands are the methods of `server.Server` under "commands".

**Queues** have the settings of `QueueSettings`, each with `<name>/$DeadLetterQueue`. `configure` changes
settings later, `purge` empties a queue, `counters`, `messages` and `dead_letters` tell what is in it and what happened
to it, `until(name, wanted, what)` waits for counters, `expire_locks` ends all locks at once.

**Faults** are set by the methods of `Control`, or by `fault(kind, at, queue, times=, skip=)` with the kinds and points
of `faults.py`; each strikes `times` times (None: until `heal()`), after the first `skip` occasions, for one queue or
for all. `struck(kind, at)` tells how often it did.

    broker.lose_send_ack("tasks")              the next message sent is enqueued, and the connection drops
    broker.lose_settle_reply("tasks")          the next settlement is done, and never confirmed
    broker.throttle("tasks", times=2)          two sends are refused with com.microsoft:server-busy
    broker.refuse_token("tasks")               the next token is answered 401
    broker.detach("send", "tasks", condition="amqp:link:detach-forced")
    broker.drop("settle", "tasks", skip=1)     the second settlement from now meets a TCP reset
    broker.stall(); broker.heal()              half-open: accepts, never answers
    broker.duplicate("tasks", copies=3)        broker.reorder("tasks")     broker.delay("send", 0.5, "tasks")
    broker.locks_die_with_link("tasks")
    broker.drop_connections(); broker.detach_links("tasks"); broker.stop(); broker.start()
    broker.restart(keep=False)                 same port, every message lost

It has no sessions, transactions, filters, auto-forward, topics, TLS or administration API, and it was compared with the
SDK and with Apache Qpid Proton, never with Azure itself.
"""

from .brokers import Broker, BrokerProcess, RemoteBroker
from .control import CommandRefusedError, Control
from .entities import Counts, QueueSettings, Told

__all__ = [
    "Broker",
    "BrokerProcess",
    "CommandRefusedError",
    "Control",
    "Counts",
    "QueueSettings",
    "RemoteBroker",
    "Told",
]

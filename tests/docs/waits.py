"""Every wait of a process, its bound, and the constant or setting that the bound comes from."""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coremachine.runtime.settings import Settings
from coremachine.statemachine.retry import Backoff

REFERENCE = re.compile(r"(?P<module>[\w.]+):(?P<name>[\w.]+?)(?:\[(?P<key>\w+)\]|\((?P<parameter>\w+)\))?")


@dataclass(frozen=True)
class Wait:
    """A wait. `bound` has a place for the value of each source: `module:NAME`, or `settings:field`.

    A source may also be a value of a mapping, `module:NAME[key]`, or the default of a parameter, `module:name(it)`.
    """

    of: str
    what: str
    bound: str
    sources: tuple[str, ...]
    then: str

    def row(self) -> tuple[str, str, str, str, str]:
        """The row of the table."""
        bound = self.bound.format(*map(value_of, self.sources))
        return (self.of, self.what, bound, ", ".join(map(_shown, self.sources)) or "none", self.then)


def value_of(source: str) -> float:
    """The value of a source, in seconds."""
    found = REFERENCE.fullmatch(source)
    assert found is not None, source
    if found["module"] == "settings":
        return float(Settings.model_fields[found["name"]].default)
    value: Any = importlib.import_module(f"coremachine.runtime.{found['module']}")
    for name in found["name"].split("."):
        value = getattr(value, name)
    if found["key"]:
        value = value[found["key"]]
    if found["parameter"]:
        value = inspect.signature(value).parameters[found["parameter"]].default
    if isinstance(value, Backoff):
        return value.most
    return float(value.removesuffix("s") if isinstance(value, str) else value)


def _shown(source: str) -> str:
    module, name = source.split(":")
    return f"[`{name}`](settings.md)" if module == "settings" else f"`{name}` in `{module}`"


def all_waits() -> Iterator[Wait]:
    """Every wait, in the order of the table."""
    for of, waits in WAITS.items():
        for what, bound, sources, then in waits:
            yield Wait(of, what, bound, sources, then)


RETRIED = "the work is retried; one line when that begins, one when it is over"
AGAIN = "the link is dropped, and the next call connects again"
BROKER = "bus.servicebus"
WAITS: dict[str, tuple[tuple[str, str, tuple[str, ...], str], ...]] = {
    "database": (
        ("to connect", "{0:g} s for each address", ("store.server_settings:NETWORK_LIMITS[connect_timeout]",), RETRIED),
        (
            "for a connection of the pool",
            "{0:g} s",
            ("store.database:POOL_SECONDS",),
            RETRIED,
        ),
        (
            "of the pool, between two tries to connect",
            "longer each time, from the beginning again after {0:g} s",
            ("store.database:RECONNECTING",),
            "tried until it succeeds",
        ),
        ("for a statement", "{0:g} s", ("store.connection:STATEMENT_SECONDS",), "the server cancels it"),
        (
            "for the answer to a statement or a COMMIT, on a connection of the pool",
            "{0:g} s",
            ("store.connection:ANSWER_SECONDS",),
            "the connection is closed, and the work is retried, after a COMMIT only if that was not executed",
        ),
        (
            "for the answer on any connection, if packets are dropped",
            "{0:g} s without traffic, then {2:g} probes {1:g} s apart",
            tuple(
                f"store.server_settings:NETWORK_LIMITS[{name}]"
                for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")
            ),
            "the kernel closes the connection",
        ),
        (
            "for the kernel of the server to acknowledge what was sent",
            "{0:g} ms",
            ("store.server_settings:NETWORK_LIMITS[tcp_user_timeout]",),
            "the kernel closes the connection",
        ),
        (
            "of the server, for the next statement of a transaction",
            "{0:g} s",
            ("store.database:CONNECTION_SETTINGS[idle_in_transaction_session_timeout]",),
            "the server ends the session, and its locks are free",
        ),
        (
            "of the server, for the rest of a transaction whose statements arrive in a pipeline, with its locks",
            "the TCP keepalives of the server, by default of Linux about two hours",
            (),
            "the server ends the session, and its locks are free; set `tcp_keepalives_idle` on the server",
        ),
        (
            "of the reconciler, for a lock",
            "{0:g} s",
            ("reconciler.steps:LOCK_SECONDS",),
            "the step waits for its next turn",
        ),
        (
            "of any other statement, for a lock",
            "{0:g} s",
            ("store.connection:STATEMENT_SECONDS",),
            "the server cancels it; claims skip locked rows",
        ),
        (
            "of submit, cancel, resume and queries, for a database that cannot be used",
            "{0:g} s",
            ("store.database:PATIENCE_SECONDS",),
            "`DatabaseUnreachableError`",
        ),
        (
            "of a worker, for a database that cannot be used",
            "unlimited, tries about {0:g} s apart",
            ("store.outage:BACKOFF",),
            "it continues when the database can be used",
        ),
        (
            "of the LISTEN connection, for a notification, until it is probed",
            "{0:g} s; work is looked for every {1:g} s all the same",
            ("bus.channel:PROBE_SECONDS", "settings:poll"),
            "a probe is sent",
        ),
        (
            "for the answer to that probe, and to connect",
            "{0:g} s and {1:g} s",
            ("bus.channel:ANSWER_SECONDS", "bus.channel:CONNECT_SECONDS"),
            "the connection is replaced",
        ),
        (
            "of a request of a person or a program, for a lock",
            "{0:g} s; the log names the holder after {1:g} s",
            ("store.database:PATIENCE_SECONDS", "store.lock_watch:LOOK_SECONDS"),
            "`LockTimeoutError`; nothing has changed",
        ),
        (
            "for the first answer on a connection outside of the pool: the check at start, the installer",
            "as for any connection, if packets are dropped",
            (),
            "`DatabaseUnreachableError`",
        ),
        (
            "for a token of Entra ID",
            "the limits of the package azure-identity",
            (),
            "as for a database or a broker that cannot be reached",
        ),
        (
            "of the lease renewer, to connect, and for its statement",
            "a third of {0:g} s, at least 2 s",
            ("settings:lease",),
            "tried again at least once a second",
        ),
        (
            "of the lease renewer, for the answer to its statement",
            "the same and {0:g} s more",
            ("leases.renewer_process:_LATER_THAN_SERVER",),
            "another connection, on which it renews at once",
        ),
    ),
    "broker": (
        (
            "to connect and attach a link",
            "{0:g} s",
            (f"{BROKER}.end:CONNECTING",),
            "`BrokerError`; the loop tries again",
        ),
        (
            "of the SDK, for one try of an operation",
            "{0:g} s",
            (f"{BROKER}.namespace:TRY_TIMEOUT",),
            "it tries once more",
        ),
        (
            "for messages",
            "{0:g} s, and {1:g} s for the SDK",
            ("settings:poll", f"{BROKER}.receiver:SLACK"),
            "nothing was received; past the second limit " + AGAIN,
        ),
        (
            "for dead letters",
            "{0:g} s, or until the next probe, and {1:g} s for the SDK",
            ("relay.dead_letters:DeadLetterReader(wait)", f"{BROKER}.receiver:SLACK"),
            "nothing was received; past the last limit " + AGAIN,
        ),
        (
            "to send",
            "{0:g} s",
            (f"{BROKER}.sender:SEND_SECONDS",),
            AGAIN + "; the messages are sent again, with their ids",
        ),
        (
            "to settle messages, or to remove dead letters",
            "{0:g} s",
            (f"{BROKER}.receiver:SETTLE_SECONDS",),
            AGAIN + "; the messages may be redelivered",
        ),
        (
            "until a silent link is probed",
            "half of {0:g} s, at least {1:g} s and at most {2:g} s",
            ("settings:lease", f"{BROKER}.transport:SHORTEST_SILENCE", f"{BROKER}.transport:PROBE_EVERY"),
            "a request that must be answered is sent",
        ),
        ("for the answer to a probe", "{0:g} s", (f"{BROKER}.end:PROBE_SECONDS",), "one line is logged; " + AGAIN),
        ("to close a link", "{0:g} s", (f"{BROKER}.namespace:CLOSING",), "in the background; the socket is abandoned"),
        ("of a relay, until it looks for messages", "{0:g} s", ("settings:poll",), "a notification wakes it earlier"),
        (
            "between two tries to receive, or to send",
            "about {0:g} s",
            ("worker.producer:BROKER_BACKOFF", "relay.relay:BACKOFF"),
            "tried until it succeeds",
        ),
        (
            "between two tries to read dead letters",
            "about {0:g} s",
            ("relay.dead_letters:BACKOFF",),
            "tried until it succeeds",
        ),
        ("for a message that no worker has handled", "{0:g} s", ("settings:resend",), "it is sent again"),
        ("for a message that a relay has claimed", "{0:g} s", ("settings:relay_lease",), "another relay sends it"),
        (
            "of `bus check`, for each step on a queue",
            "{0:g} s, after connecting",
            (f"{BROKER}.check:SECONDS",),
            "the step is reported as refused",
        ),
        (
            "of `bus check`, for its test message",
            "{0:g} s",
            (f"{BROKER}.observed:WAIT",),
            "the result is unknown",
        ),
        (
            "of `bus check`, for the administration API",
            "{0:g} s",
            (f"{BROKER}.administration:SECONDS",),
            "the settings are reported as not available",
        ),
        (
            "for a message that the host of Azure Functions pushes",
            "{0:g} s",
            ("bus.externally_polled:WAIT_SECONDS",),
            "nothing was received",
        ),
    ),
    "work": (
        ("for work, without a notification", "{0:g} s", ("settings:poll",), "due rows are looked for"),
        ("for the renewal of a lease", "{0:g} s", ("settings:lease",), "the reconciler takes the row back"),
        ("for the reconciler", "about {0:g} s", ("settings:reconcile",), "its next run"),
        (
            "for a handler",
            "the `timeout` of its stage; without one, unlimited while its worker renews the lease",
            (),
            "the attempt fails; a child process is killed",
        ),
        (
            "for a handler that has passed its timeout, or was asked to stop, and does not end",
            "{0:g} s and {1:g} s more",
            ("settings:stop_grace", "settings:lease"),
            "the reconciler takes the task from its worker",
        ),
        (
            "of an outcome that the database refuses",
            "about {0:g} s",
            ("executor.batch_completer:BACKOFF",),
            "it is written again",
        ),
        (
            "of a loop that failed unexpectedly",
            "about {0:g} s",
            ("worker.loops:BACKOFF",),
            "it restarts",
        ),
        (
            "of a row that was set aside",
            "{0:g} s, longer each time, at most {1:g} s",
            ("store.set_aside:FIRST_SECONDS", "store.set_aside:MOST_SECONDS"),
            "it is claimed again",
        ),
    ),
    "processes": (
        (
            "for a child process that was killed",
            "{0:g} s",
            ("executor.children:_DEATH_SECONDS",),
            "its slot stays taken until it ends",
        ),
        (
            "for the lease renewer to read a message, and to end",
            "{0:g} s",
            ("leases.renewer:_PATIENCE",),
            "it is killed, and another one starts",
        ),
        (
            "of a stopping worker, for claims in progress",
            "{0:g} s",
            ("worker.worker:CLAIM_SECONDS",),
            "they are cancelled; what they won is rescued",
        ),
        (
            "of a stopping worker, for its handlers",
            "{0:g} s",
            ("settings:grace",),
            "their tasks are released; child processes are killed",
        ),
        (
            "of a stopping worker, for what it cancelled",
            "unlimited, cancelled again every {0:g} s",
            ("executor.cancelling:ASK_AGAIN",),
            "a handler of asyncio that ignores cancellation; a second signal ends the process",
        ),
        (
            "of a stopping worker, for the database to take its outcomes",
            "unlimited; a second signal ends the process",
            (),
            "their leases expire",
        ),
        (
            "of a stopping worker, for threads of handlers",
            "{0:g} s",
            ("cli.commands.worker:THREAD_EXIT_SECONDS",),
            "the process ends all the same",
        ),
        (
            "for the creation of the embedded server",
            "{0:g} s for each program",
            ("embedded.cluster:_INITDB_SECONDS",),
            "`EmbeddedServerError`",
        ),
        (
            "for the start of the embedded server",
            "{0:g} s",
            ("embedded.postmaster:START_SECONDS",),
            "`EmbeddedServerError`",
        ),
        ("for its stop", "{0:g} s", ("embedded.postmaster:STOP_SECONDS",), "`EmbeddedServerError`"),
        (
            "for another process that starts or stops it",
            "{0:g} s",
            ("embedded.sharing:_START_LOCK_SECONDS",),
            "`EmbeddedServerError`, which names the lock's file",
        ),
        (
            "for any other program of PostgreSQL",
            "{0:g} s",
            ("embedded.account:Account.run(seconds)",),
            "`EmbeddedServerError`",
        ),
    ),
    "pages": (
        (
            "of a stream, for the next event",
            "{0:g} s",
            ("web.api.streams:POLL_SECONDS",),
            "the database is asked again",
        ),
        (
            "of a client, for anything on a stream",
            "{0:g} s",
            ("web.api.streams:HEARTBEAT_SECONDS",),
            "a heartbeat is sent",
        ),
        ("of `/readyz`, for the database", "{0:g} s", ("web.api.system:READY_TIMEOUT_SECONDS",), "not ready"),
        ("of any other request, for the database", "{0:g} s", ("store.database:PATIENCE_SECONDS",), "status 503"),
        ("of a stopping server, for its requests", "{0:g} s", ("web.serving:SHUTDOWN_SECONDS",), "they are cancelled"),
    ),
}

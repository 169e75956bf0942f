"""What a queue is: rows that wait for a worker, and the lease under which a worker processes them.

The row is its own message. `due_at` is when it may be claimed, and on a broker when its message is sent next. A
claim raises `lease_number`, which fences, and assigns the row to `lease_owner` until `lease_expires_at`. `send_number`
counts the messages sent since the last claim.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .changes import EMPTY, NOW, ZERO, Change, Difference, ahead
from .lifecycle import Lifecycle, NoteType


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedChildren:
    """Child rows that a claim returns with each row it wins, as a JSON array under the name of their table."""

    table: str
    key: str
    columns: tuple[str, ...]
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How the rows of a record wait and are leased.

    `name` is the name of its messages. A worker claims rows whose column `by` is among the types that it declares,
    in `order`; a claim returns `returns` and `children`. `claim` is the trigger that a claim fires; None means that
    claiming changes no state: then a row waits while `due_at` has a value, and every open state may be leased.

    `label` is the column that identifies a row for people; None if its job is enough. `failures` is the column that
    counts consecutive failures to handle the message, `handler_deadline` a deadline that moves with the lease until the
    handler begins, `stop` a column of the parent row that asks the worker to stop, `first_sent` the note that is
    written once, when the message is first sent.
    """

    name: str
    by: str
    order: tuple[str, ...]
    returns: tuple[str, ...]
    claim: str | None = "claim"
    label: str | None = None
    children: ReturnedChildren | None = None
    failures: str | None = None
    handler_deadline: str | None = None
    stop: str | None = None
    first_sent: NoteType | None = None


LEASE = ahead("n.moment + MAKE_INTERVAL(secs => %(lease)s)")
LATER = ahead("n.moment + MAKE_INTERVAL(secs => %(delay)s)")
SEND_LEASE = ahead("GREATEST(r.due_at, n.moment) + MAKE_INTERVAL(secs => %(lease)s)")
RESEND = ahead(
    "r.due_at + MAKE_INTERVAL(secs => LEAST(CAST(%(most)s AS FLOAT8),"
    " %(resend)s * POWER(2, LEAST(r.send_number - 1, 30))) - %(lease)s)"
)
OWNER = Difference("%(lease_owner)s", "NOT {new} IS NULL", "the claiming worker")
NEXT_LEASE = Difference("r.lease_number + 1", "{new} = {old} + 1", "one more")
NEXT_SEND = Difference("r.send_number + 1", "{new} = {old} + 1", "one more")
NO_LEASE = {"lease_owner": EMPTY, "lease_expires_at": EMPTY}


def queue_changes(queue: Queue, lifecycle: Lifecycle) -> dict[str, Change]:
    """Every change that the queue makes to a row, by name. A claim that fires a trigger is a move, not a change."""
    waits, leased = states_of(queue, lifecycle)
    if queue.claim is None:
        made = _by_due_time(queue, waits, tuple(state for state in waits if not lifecycle.by_name[state].initial))
    else:
        made = _by_state(queue, waits, leased)
    return {change.name: change for change in made}


def states_of(queue: Queue, lifecycle: Lifecycle) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The states in which a row may wait for its message, and those in which it may be leased."""
    if queue.claim is None:
        return lifecycle.open_states, lifecycle.open_states
    waits = tuple(source for one in lifecycle.transitions_of(queue.claim) for source in one.sources)
    return waits, tuple(state.name for state in lifecycle.states if state.leased)


def _by_state(queue: Queue, waits: tuple[str, ...], leased: tuple[str, ...]) -> Iterator[Change]:
    """A row waits in one state and is leased in another."""
    yield Change(
        name="lease_for_send",
        states=waits,
        columns={"due_at": SEND_LEASE, "send_number": NEXT_SEND},
        text="A relay leases the row to send its message.",
    )
    yield Change(name="confirm_sent", states=waits, columns={"due_at": RESEND}, text="The broker has the message.")
    yield Change(
        name="redirect",
        states=waits,
        columns={"due_at": LATER, "send_number": NEXT_SEND},
        text="The message reached a worker that does not declare its type; it is sent again.",
    )
    renewed = {"lease_expires_at": LEASE}
    if queue.handler_deadline is not None:
        renewed[queue.handler_deadline] = Difference(
            f"CASE WHEN i.begun THEN r.{queue.handler_deadline} ELSE n.moment + r.timeout END",
            "({new} IS NOT DISTINCT FROM {old} OR {new} <= {schema}.clock() + OLD.timeout)",
            "the same, or a full time-out ahead while the handler has not begun",
        )
    yield Change(name="renew", states=leased, columns=renewed, text="The worker is alive.")


def _by_due_time(queue: Queue, open_states: tuple[str, ...], under_way: tuple[str, ...]) -> Iterator[Change]:
    """A row waits while `due_at` has a value, and is leased while it has an owner."""
    waiting, unleased, leased = "NOT OLD.due_at IS NULL", "OLD.lease_owner IS NULL", "NOT OLD.lease_owner IS NULL"
    failures = {} if queue.failures is None else {queue.failures: EMPTY}
    yield Change(
        name="claim",
        states=open_states,
        when=waiting,
        columns={
            "due_at": LEASE,
            "lease_expires_at": LEASE,
            "lease_owner": OWNER,
            "lease_number": NEXT_LEASE,
            "send_number": ZERO,
        },
        text="A worker leases the message. It is due again when the lease ends.",
    )
    yield Change(
        name="renew",
        states=open_states,
        when=leased,
        columns={"due_at": LEASE, "lease_expires_at": LEASE},
        text="The worker is alive.",
    )
    yield Change(
        name="lease_for_send",
        states=open_states,
        when=waiting,
        columns={"due_at": SEND_LEASE, "send_number": NEXT_SEND, **NO_LEASE},
        text="A relay leases the row to send its message. An expired lease ends.",
    )
    yield Change(
        name="confirm_sent",
        states=open_states,
        when=f"{waiting} AND {unleased}",
        columns={"due_at": RESEND},
        text="The broker has the message.",
    )
    yield Change(
        name="redirect",
        states=open_states,
        when=f"{waiting} AND {unleased}",
        columns={"due_at": LATER, "send_number": NEXT_SEND},
        text="The message reached a worker that does not declare its type; it is sent again.",
    )
    yield Change(
        name="acknowledge",
        states=under_way,
        when=leased,
        columns={"due_at": EMPTY, **NO_LEASE, **failures},
        text="The message has been handled.",
    )
    yield Change(
        name="requeue",
        states=under_way,
        columns={"due_at": NOW, **NO_LEASE},
        text="A stage has closed, or the job was found stalled: the job needs a worker.",
    )
    if queue.failures is not None:
        once_more = Difference(
            f"COALESCE(r.{queue.failures}, 0) + 1", "{new} = COALESCE({old}, 0) + 1", "one more, from empty to 1"
        )
        yield Change(
            name="retry_later",
            states=open_states,
            when=leased,
            columns={"due_at": LATER, **NO_LEASE, queue.failures: once_more},
            text="The message could not be handled.",
        )

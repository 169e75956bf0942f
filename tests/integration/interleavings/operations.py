"""The operations of the flow, each as a worker, a reconciler or a user does it, and what each says that it did."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from coremachine.runtime.bus.channel import Channel
from coremachine.runtime.bus.postgres import PostgresBus
from coremachine.runtime.flow.cancel import cancel
from coremachine.runtime.flow.flow import Flow
from coremachine.runtime.flow.handle_job import handle_job_message
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.flow.rescue import rescue_tasks
from coremachine.runtime.flow.resume import resume
from coremachine.runtime.leases.lease_table import LeaseTable
from coremachine.runtime.store.rows import ClaimedTask
from coremachine.runtime.store.session import Row
from coremachine.runtime.store.unclaimable import Unclaimable
from coremachine.runtime.worker.claimer import Claimer
from coremachine.runtime.worker.job_messages import JobMessages
from coremachine.runtime.worker.work import job_messages_of
from tests.integration.interleavings.starts import COURIER, LADDER, LONG, Start, call, claim_messages, claim_tasks
from tests.integration.interleavings.stepper import SteppedDatabase

Said = Counter[str]
"""What an operation says it did, in the words of `seen`."""


@dataclass(frozen=True)
class Actor:
    """Who does it, with which connection, and which of the tasks of the start is its own."""

    name: str
    database: SteppedDatabase
    start: Start
    task: ClaimedTask | None

    @property
    def bus(self) -> PostgresBus:
        """A bus on the same connection."""
        return PostgresBus(Channel(self.database))


Operation = Callable[[Actor], Awaitable[Said]]


def settling(**ended: object) -> Operation:
    """The end of an attempt at the actor's task."""

    async def settle_one(actor: Actor) -> Said:
        assert actor.task is not None
        outcome = Outcome(task=actor.task, **ended)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async with actor.database.transaction() as session:
            won = await record_outcomes(session, actor.bus, [outcome], actor.name)
        return Counter(
            [_settled(actor.name, actor.task.key, actor.task.lease_number) if won else f"{actor.name} was too late"]
        )

    return settle_one


def settling_batch(*ended: Mapping[str, object], turned: bool = False) -> Operation:
    """The ends of attempts at the first tasks of the start, in one batch, in their order or turned round.

    Two may be of one task under two leases. Then the later lease is the one that can win, wherever it stands.
    """

    async def settle_them(actor: Actor) -> Said:
        outcomes = [
            Outcome(task=task, **how)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            for task, how in zip(actor.start.held, ended, strict=False)
        ]
        newest = {task.key: task.lease_number for task in sorted(actor.start.held, key=lambda task: task.lease_number)}
        async with actor.database.transaction() as session:
            won = await record_outcomes(session, actor.bus, outcomes[::-1] if turned else outcomes, actor.name)
        return Counter(
            _settled(actor.name, task.key, task.lease_number)
            if task.key in won and task.lease_number == newest[task.key]
            else f"{actor.name} was too late"
            for task in (outcome.task for outcome in outcomes)
        )

    return settle_them


async def rescued(actor: Actor) -> Said:
    """What a reconciler does with a task whose lease ran out."""
    assert actor.task is not None
    won = await rescue_tasks(actor.database, actor.bus, [actor.task], actor.name)
    return Counter([_settled(actor.name, actor.task.key, actor.task.lease_number)] if won else [])


async def claimed(actor: Actor) -> Said:
    """What a worker does that has free places: it claims tasks, then job messages."""
    async with actor.database.session() as session:
        tasks = await claim_tasks(session, actor.name, 10)
        await claim_messages(session, actor.name)
    return Counter([f"{actor.name} claimed" for _ in tasks])


async def cancelled(actor: Actor) -> Said:
    """What a user asks for."""
    state = await cancel(actor.database, actor.bus, actor.start.job_id, "nobody wants it")
    return Counter(["asked to stop" if state != "cancelled" else "cancelled"])


async def resumed(actor: Actor) -> Said:
    """What a user asks for after a failure."""
    await resume(actor.database, actor.bus, actor.start.job_id)
    return Counter(["resumed"])


async def handled(actor: Actor) -> Said:
    """What a job message leads to: the next stage is opened, or the job finalized, or nothing is done."""
    flow = Flow(actor.database, actor.bus, COURIER, call)
    done = await handle_job_message(flow, {LADDER.name: LADDER}, actor.start.message)
    return Counter([done.split()[0]] if done.startswith(("opened", "finalized")) else [])


async def taken(actor: Actor) -> Said:
    """What a worker does with a message that comes alone: it claims and handles it in one transaction."""
    found: list[str] = []
    flow = Flow(actor.database, actor.bus, actor.name, call, lambda job, _: found.append(job.job_id))
    leases = LeaseTable()
    claimer = Claimer(
        actor.database,
        leases,
        Unclaimable(actor.database, actor.name),
        owner=actor.name,
        lease=LONG,
        types={"job": [LADDER.name]},
        to_work={"job": job_messages_of},
    )
    messages = JobMessages(flow, {LADDER.name: LADDER}, leases, claimer)
    left = await messages.claim([LADDER.name], 2)
    return Counter(["opened" for _ in found if not left])


@dataclass(frozen=True)
class Kind:
    """An operation by name, the starts at which it has something to do, and how many tasks must be held there.

    Unless it goes `elsewhere`, it is not tried at the starts of its partner.
    """

    name: str
    run: Operation
    starts: tuple[str, ...]
    holds: int = 0
    elsewhere: bool = True


COMPLETED = settling(kind="completed", result="1")
FAILED = settling(kind="failed", error={"message": "boom"}, retryable=False)
RETRIED = settling(kind="failed", error={"message": "boom"})
RELEASED = settling(kind="released", reason="worker stopping")
ENDED_BOTH = (
    {"kind": "completed", "result": "1"},
    {"kind": "failed", "error": {"message": "boom"}, "retryable": False},
)

KINDS = (
    Kind("claim", claimed, ("opened",)),
    Kind("complete", COMPLETED, ("opened",), holds=1),
    Kind("fail", FAILED, ("opened", "last"), holds=1),
    Kind("retry", RETRIED, ("opened",), holds=1),
    Kind("rescue", rescued, ("opened",), holds=1),
    Kind("release", RELEASED, ("opened",), holds=1),
    Kind("cancel", cancelled, ("opened", "between")),
    Kind("resume", resumed, ("failed",)),
    Kind("open", handled, ("submitted", "between", "requeued")),
    Kind("take", taken, ("posted",)),
    Kind("advance", COMPLETED, ("last", "last two"), holds=1),
    Kind("batch", settling_batch(*ENDED_BOTH), ("last two", "reclaimed"), holds=2),
    Kind("batch turned", settling_batch(*ENDED_BOTH, turned=True), ("reclaimed",), holds=2, elsewhere=False),
    Kind("finalize", handled, ("done",)),
)
SETTLING = {kind.name for kind in KINDS if kind.holds}
ENDS = ("task_completed", "task_failed", "task_retry_scheduled", "task_released", "task_rescued", "task_cancelled")
DEEDS: Mapping[str, str] = {"stage_started": "opened", "job_completed": "finalized", "job_resumed": "resumed"}


def seen(events: Iterable[Row]) -> Said:
    """What the events tell of the same deeds. Both actors may have done one; each event tells of one."""
    return Counter(word for event in events for word in _words(event))


def _words(event: Row) -> list[str]:
    kind, data = event["event_type"], event["event_data"]
    who = data.get("worker") or data.get("found_by")
    if kind in DEEDS:
        return [DEEDS[kind]]
    if kind == "task_started":
        return [f"{who} claimed"]
    if kind == "stale_result_rejected":
        return [f"{who} was too late"]
    return [_settled(who, event["task_id"], event["lease_number"])] if kind in ENDS and who else []


def _settled(who: str, key: str, lease: int) -> str:
    return f"{who} settled {key} under lease {lease}"

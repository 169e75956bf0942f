"""The faults of a broker, each with how it is ordered, and a job that is run while they are there."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from tests.acceptance.exactly_once import tasks_that_ran_otherwise
from tests.integration.servicebus.conftest import Queues
from tests.observing import counted_events
from tests.running import working
from tests.waiting import until, until_event

LONG = 100.0


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(numbers: list[int]) -> int:
    return sum(numbers)


async def thank(job_id: str) -> None:
    assert job_id


SUMS = Job(
    "sums",
    [Stage("numbers", numbers), Stage("double", double, each="numbers"), Stage("add", add, gather="double")],
    on_job_complete=thank,
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `order` sets it before the job is submitted; `strike` is done while its tasks run."""

    name: str
    order: Callable[[Queues], object] | None = None
    strike: Callable[[Queues], object] | None = None
    settings: tuple[tuple[str, Any], ...] = ()


def _every_point(queues: Queues) -> None:
    for at in ("attach", "send", "deliver", "settle"):
        queues.broker.drop(at, queues.tasks, times=2)


def _every_link(queues: Queues) -> None:
    for at in ("send", "deliver", "settle"):
        queues.broker.detach(at, queues.tasks, condition="amqp:link:detach-forced", times=2)


def _both(queues: Queues, what: Callable[[str], object]) -> None:
    what(queues.jobs)
    what(queues.tasks)


def _silence(queues: Queues) -> None:
    """Every connection there is goes silent, for good; those made later are answered."""
    queues.broker.stall()
    queues.broker.heal()


FAULTS = (
    Fault("none"),
    Fault("TCP drop", order=_every_point, strike=lambda q: q.broker.drop_connections()),
    Fault("detach", order=_every_link, strike=lambda q: q.broker.detach_links(q.tasks)),
    Fault("half-open stall", strike=_silence),
    Fault("lost send acknowledgement", order=lambda q: _both(q, lambda n: q.broker.lose_send_ack(n, times=2))),
    Fault("lost settlement", order=lambda q: q.broker.lose_settle_reply(q.tasks, times=2, drop=True)),
    Fault("lock expiry", strike=lambda q: _both(q, q.broker.expire_locks)),
    Fault("throttling", order=lambda q: _both(q, lambda n: q.broker.throttle(n, times=4))),
    Fault("refused token", order=lambda q: q.broker.refuse_token(q.tasks, times=3)),
    Fault("duplicate ×10", order=lambda q: _both(q, lambda n: q.broker.duplicate(n, copies=10, times=100))),
    Fault("reordering", order=lambda q: q.broker.reorder(q.tasks, times=100)),
    Fault("delay", order=lambda q: q.broker.delay("deliver", 0.3, q.tasks, times=10)),
    Fault("restart losing every message", strike=lambda q: q.broker.restart(), settings=(("resend", 2.0),)),
)


@dataclass(frozen=True)
class Outcome:
    """How a job fared under a fault."""

    status: str
    result: object
    ran_otherwise: int
    findings: tuple[str, ...]
    copies_refused: int
    seconds: float


async def run_under(fault: Fault, queues: Queues, count: int, *, workers: int = 1) -> Outcome:
    """Run a job of `count` + 2 tasks while the fault is there, and say what became of it."""
    app = await queues.open_app(SUMS, relay_lease=3.0, **dict(fault.settings))
    loop = asyncio.get_running_loop()
    began = loop.time()
    if fault.order is not None:
        await asyncio.to_thread(fault.order, queues)
    submitted = await app.submit(SUMS, count=count)
    async with asyncio.timeout(LONG):
        async with AsyncExitStack() as stack:
            for _ in range(workers):
                await stack.enter_async_context(working(app))
            await _watched(app, fault, queues, submitted.id)
    seconds = loop.time() - began
    job = await app.job(submitted.id)
    audit = await app.audit()
    told = await counted_events(app, submitted.id)
    otherwise = await tasks_that_ran_otherwise(app, submitted.id)
    return Outcome(
        status=job["status"],
        result=job["result"],
        ran_otherwise=len(otherwise),
        findings=tuple(finding.id for finding in audit.findings),
        copies_refused=told["stale_result_rejected"],
        seconds=seconds,
    )


async def _watched(app: AsyncCoreMachine, fault: Fault, queues: Queues, job_id: str) -> None:
    if fault.strike is not None:
        await until_event(app, job_id, "task_completed", number=2)
        await asyncio.to_thread(fault.strike, queues)

    async def ended() -> bool:
        return bool((await counted_events(app, job_id))["callback_executed"])

    await until(ended, f"the job has ended under {fault.name}", within=LONG)

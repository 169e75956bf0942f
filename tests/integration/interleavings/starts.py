"""Where a pair of operations starts: a job brought there by the flow itself, and put back there for each schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.flow.flow import Flow
from coremachine.runtime.flow.handle_job import handle_job_message
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.flow.rescue import rescue_tasks
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import ClaimedTask, JobMessage
from coremachine.runtime.store.session import Session
from coremachine.statemachine.tables import JOBS, TASKS
from tests.integration.rows import run

COURIER = "courier"
LONG = 3600.0
EXPIRE = "UPDATE {schema}.tasks SET lease_expires_at = app.clock() WHERE status = 'processing'"
EMPTY = "DELETE FROM app.{0};"
TABLES = ("jobs", "stages", "tasks", "callbacks", "job_events")


@task(retries=1)
def part(number: int) -> int:
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


def sealed(output: int) -> int:
    return output


def tell(result: int) -> None:
    """Called by nobody here."""


LADDER = Job(
    "interleaved",
    [Stage("parts", part, each="numbers"), Stage("total", total, gather="parts")],
    finalize=sealed,
    finalize_required=True,
    on_job_complete=tell,
)


@dataclass(frozen=True)
class Start:
    """A job, the tasks that were claimed last, and the message that was: each still held, or long given up."""

    name: str
    job_id: str
    held: Sequence[ClaimedTask]
    message: JobMessage
    last_event: int


async def call(function: Any, given: Mapping[str, object]) -> Any:
    """User code of these jobs, run where it stands."""
    return function(**given)


class Builder:
    """Brings one job somewhere, as workers would."""

    def __init__(self, app: AsyncCoreMachine, numbers: int) -> None:
        self.app = app
        self.numbers = list(range(numbers))
        self.held: list[ClaimedTask] = []
        self.message = JobMessage("", LADDER.name, 0)

    async def submit(self) -> None:
        """Submit it, and claim its message."""
        submitted = await self.app.submit(LADDER, numbers=self.numbers)
        self.message = JobMessage(submitted.id, LADDER.name, 0)
        await self.claim_message()

    async def claim_message(self) -> None:
        """Claim the message that has been posted."""
        async with self.app.database.session() as session:
            self.message = (await claim_messages(session, COURIER))[0]

    async def handle(self) -> None:
        """Handle the message, and claim what tasks there are then, two at the most."""
        await handle_job_message(Flow(self.app.database, self.app.bus, COURIER, call), self.app.jobs, self.message)
        async with self.app.database.session() as session:
            self.held = await claim_tasks(session, COURIER, 2)

    async def take_over(self, owner: Session) -> None:
        """A lost worker's task is rescued and claimed by another: the first of the two holds it no more."""
        await run(owner, EXPIRE)
        await rescue_tasks(self.app.database, self.app.bus, self.held, COURIER)
        async with self.app.database.session() as session:
            self.held += await claim_tasks(session, COURIER, 1)

    async def record(self, **ended: Any) -> None:
        """End the first of the tasks held."""
        async with self.app.database.transaction() as session:
            await record_outcomes(session, self.app.bus, [Outcome(task=self.held[0], **ended)], COURIER)


async def claim_tasks(session: Session, owner: str, limit: int) -> list[ClaimedTask]:
    """Claim tasks as a worker does."""
    claim = Claim(record=TASKS, types=list(LADDER.tasks), limit=limit, owner=owner, lease=LONG)
    return [ClaimedTask(**row) for row in await claim_due(session, claim)]


async def claim_messages(session: Session, owner: str) -> list[JobMessage]:
    """Claim job messages as a worker does."""
    claim = Claim(record=JOBS, types=[LADDER.name], limit=1, owner=owner, lease=LONG)
    return [JobMessage.of(row) for row in await claim_due(session, claim)]


async def build(app: AsyncCoreMachine, owner: Session, name: str) -> Start:
    """A job brought to the start of this name, and every row kept, so that it can be put back."""
    await _put_back(owner, "")
    builder = Builder(app, {"opened": 3, "last two": 2, "failed": 2, "requeued": 2}.get(name, 1))
    await builder.submit()
    if name != "submitted":
        await builder.handle()
    if name in {"failed", "requeued"}:
        await builder.record(kind="failed", error={"message": "boom"}, retryable=False)
        first, second = builder.held
        builder.held = [second]
        await builder.record(kind="completed", result="1")
        builder.held = [first, second]
    if name == "reclaimed":
        await builder.take_over(owner)
    if name == "requeued":
        await app.resume(builder.message.job_id)
        await builder.claim_message()
    if name in {"posted", "between", "done"}:
        await builder.record(kind="completed", result="1")
    if name in {"between", "done"}:
        await builder.claim_message()
    if name == "done":
        await builder.handle()
        await builder.record(kind="completed", result="1")
        await builder.claim_message()
    await run(owner, EXPIRE)
    await _keep(owner)
    (last,) = await run(owner, "SELECT max(event_id) AS id FROM {schema}.job_events")
    return Start(name, builder.message.job_id, builder.held, builder.message, last["id"])


async def put_back(owner: Session) -> None:
    """Every row as it was when the start was built."""
    await _put_back(owner, "INSERT INTO app.{0} OVERRIDING SYSTEM VALUE TABLE public.kept_{0};")


async def _keep(owner: Session) -> None:
    keep = "DROP TABLE IF EXISTS public.kept_{0}; CREATE TABLE public.kept_{0} AS TABLE app.{0};"
    await run(owner, "".join(keep.format(table) for table in TABLES))


async def _put_back(owner: Session, insert: str) -> None:
    anew = EMPTY + insert
    statements = "".join(anew.format(table) for table in TABLES)
    # only the owner can do this, and only with the guards out of the way
    await run(owner, "SET session_replication_role = replica")
    await run(owner, statements)
    await run(owner, "SET session_replication_role = origin")

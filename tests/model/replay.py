"""The actions of the model, done by the runtime on a real database."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from coremachine import Job, Stage, task
from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.errors import StaleMessageError
from coremachine.runtime.flow.callback import run_callback
from coremachine.runtime.flow.cancel import cancel
from coremachine.runtime.flow.deadline import end_overdue_job, end_overdue_tasks
from coremachine.runtime.flow.flow import Flow, Found
from coremachine.runtime.flow.handle_job import make_plan, next_step, write_plan
from coremachine.runtime.flow.outcome import Outcome
from coremachine.runtime.flow.record_outcomes import record_outcomes
from coremachine.runtime.flow.rescue import rescue_callbacks, rescue_tasks
from coremachine.runtime.flow.resume import resume
from coremachine.runtime.store.claims import Claim, claim_due
from coremachine.runtime.store.rows import ClaimedCallback, ClaimedTask, JobMessage, JobRow, StageRow
from coremachine.runtime.store.session import Row, Session, event_parameters
from coremachine.sql_generator.queues import claim_by_key_statement, renew_statement
from coremachine.statemachine.lifecycles import TASK
from coremachine.statemachine.machine import Subject, machine_of
from coremachine.statemachine.records import Record
from coremachine.statemachine.retry import Backoff
from coremachine.statemachine.tables import CALLBACKS, JOBS, TASKS
from tests.integration.rows import run
from tests.model import state as model
from tests.model.actions import Action
from tests.model.rows import actual_rows

AT_ONCE = Backoff(first=0, jitter=0)
LONG = 3600.0
EXPIRED = "app.clock() - interval '1 second'"
LONG_AGO = "app.clock() - interval '1 day'"
PUT_OFF = (
    "UPDATE app.jobs SET due_at = app.clock() + interval '1 day' WHERE due_at IS NOT NULL",
    "UPDATE app.jobs SET deadline_at = app.clock() + interval '1 day' WHERE deadline_at IS NOT NULL",
    "UPDATE app.callbacks SET due_at = app.clock() + interval '1 day' WHERE status = 'queued'",
    "UPDATE app.callbacks SET lease_expires_at = app.clock() + interval '1 day' WHERE status = 'processing'",
)
EXPIRE_TASK = "UPDATE app.tasks SET lease_expires_at = app.clock() - interval '1 second' WHERE task_id = %(key)s"


def part(number: int) -> int:
    return number


def more(number: int) -> int:
    return number


def sealed(output: list[int]) -> int:
    return len(output)


def callback(result: int) -> None:
    """Never called here."""


def job_of(world: model.World) -> Job:
    """A job of the world's shape: each of its stages has as many tasks as the one before it."""
    policy: Any = world.policy
    made = task(retries=1, backoff=AT_ONCE, timeout=LONG if world.timeouts else None)
    first, second = (
        Stage("first", made(part), each="numbers", policy=policy),
        Stage("second", made(more), each="first", policy=policy),
    )
    return Job(
        f"modelled_{world.policy}",
        [first, second][: world.stages],
        finalize=sealed,
        finalize_required=True,
        on_job_complete=callback,
        deadline=LONG if world.deadline else None,
        callback_retries=1,
        callback_backoff=AT_ONCE,
    )


class Replay:
    """One job, and the workers that are busy with it."""

    def __init__(self, app: AsyncCoreMachine, owner: Session, job: Job, world: model.World) -> None:
        self.app, self.owner, self.job, self.world = app, owner, job, world
        self.job_id = ""
        self.fails = self.stops = False
        self.busy: dict[int, Any] = {}
        self.seen: dict[int, Found] = {}

    async def submit(self, key: str) -> None:
        """Submit the job, and put off whatever other jobs still wait for."""
        for statement in PUT_OFF:
            await self._repair(statement)
        submitted = await self.app.submit(self.job, numbers=list(range(self.world.tasks)), key=key)
        self.job_id = submitted.id

    async def _repair(self, statement: str, given: Mapping[str, object] | None = None) -> None:
        """Change a row as no worker may: time passes for it at once."""
        async with self.owner.connection.transaction():
            await run(self.owner, "SET LOCAL coremachine.repairing = 'on'")
            await run(self.owner, statement, given)

    def flow(self, at: int) -> Flow:
        """The hands of a worker."""
        return Flow(self.app.database, self.app.bus, f"worker {at}", self._call)

    async def _call(self, function: Callable[..., Any], given: Mapping[str, object]) -> Any:
        if self.stops:
            raise asyncio.CancelledError
        if self.fails:
            raise ValueError("boom")
        return function(**given)

    async def do(self, action: Action) -> None:
        """Do what the action says."""
        self.fails = action.how in {"fails", "failed"}
        self.stops = action.how == "released"
        await getattr(self, f"_{action.name.replace(' ', '_')}")(action)

    async def _found(self, message: JobMessage) -> Found:
        async with self.app.database.session() as session:
            (row,) = await session.fetch("flow/load_job", {"job_id": self.job_id})
            stages = [StageRow.of(one) for one in await session.fetch("flow/load_stages", {"job_id": self.job_id})]
        return Found(self.job, message, JobRow.of(row), stages)

    async def _claim_message(self, action: Action) -> None:
        claim = Claim(record=JOBS, types=[self.job.name], limit=1, owner=f"worker {action.worker}", lease=LONG)
        async with self.app.database.session() as session:
            (row,) = await claim_due(session, claim)
        assert row["job_id"] == self.job_id
        self.busy[action.worker] = JobMessage.of(row)

    async def _see(self, action: Action) -> None:
        self.seen[action.worker] = await self._found(self.busy[action.worker])

    async def _handle(self, action: Action) -> None:
        found = self.seen.pop(action.worker)
        await self._step(self.flow(action.worker), found, next_step(found.row, found.stages))

    async def _step(self, flow: Flow, found: Found, step: StageRow | str | None) -> None:
        """As handle_job_message continues, once it has seen what to do."""
        with suppress(StaleMessageError):
            await write_plan(flow, found, await make_plan(flow, found, step))

    async def _stale_message(self, action: Action) -> None:
        found = await self._found(JobMessage(self.job_id, self.job.name, 0))
        late = JobMessage(self.job_id, self.job.name, found.row.lease_number - 1)
        found = Found(found.job, late, found.row, found.stages)
        steps: dict[str, StageRow | str | None] = {f"open:{n}": stage for n, stage in enumerate(found.stages)}
        await self._step(self.flow(0), found, {**steps, "finalize": None, "nothing": "nothing"}[action.how])

    async def _message_late(self, _: Action) -> None:
        sets = f"due_at = {EXPIRED}, lease_expires_at = {EXPIRED}"
        await self._repair(f"UPDATE app.jobs SET {sets} WHERE job_id = %(id)s", {"id": self.job_id})  # noqa: S608

    async def _renew_message(self, _: Action) -> None:
        ((at, message),) = ((at, one) for at, one in self.busy.items() if isinstance(one, JobMessage))
        await self._renewed(JOBS, self.job_id, message.lease_number, at)

    async def _renewed(self, record: Record, key: str, lease_number: int, at: int) -> None:
        held = {"keys": [key], "lease_numbers": [lease_number], "begun": [True], "owner": f"worker {at}"}
        async with self.app.database.session() as session:
            assert await session.statement(renew_statement(record, session.schema), {**held, "lease": LONG})

    async def _row(self, action: Action) -> Row:
        rows = await run(
            self.owner,
            "SELECT task_id AS key, t.* FROM app.tasks AS t WHERE job_id = %(id)s AND stage = %(stage)s"
            " AND task_index = %(task)s",
            {"id": self.job_id, "stage": action.stage + 1, "task": action.task},
        )
        return rows[0]

    async def _task(self, action: Action, *, late: bool = False) -> ClaimedTask:
        row = await self._row(action)
        known: dict[str, Any] = {name: row[name] for name in ClaimedTask._fields}
        if late and row["status"] == "processing":
            known["lease_number"] -= 1
        known["lease_owner"] = known["lease_owner"] or "gone"
        return ClaimedTask(**known)

    async def _claim_task(self, action: Action) -> None:
        event = machine_of(TASK).fire(Subject("*", "queued"), "claim", data={"worker": "w"}).event
        queued = await self._row(action)
        parameters = {
            "keys": [queued["key"]],
            "lease_numbers": [queued["lease_number"]],
            "types": list(self.job.tasks),
            "lease_owner": f"worker {action.worker}",
            "lease": LONG,
            **event_parameters(event),
        }
        (row,) = await run(self.owner, claim_by_key_statement(TASKS), parameters)
        self.busy[action.worker] = ClaimedTask(**row)

    async def _settle(self, action: Action) -> None:
        held = self.busy[action.worker]
        if isinstance(held, ClaimedCallback):
            await self._run_callback(held, action.worker)
        else:
            await self._end(held, action.how)

    async def _run_callback(self, held: ClaimedCallback, at: int) -> None:
        with suppress(asyncio.CancelledError):
            await run_callback(self.flow(at), self.job, held, {})

    async def _late_outcome(self, action: Action) -> None:
        await self._end(await self._task(action, late=True), action.how)

    async def _settle_batch(self, action: Action) -> None:
        outcomes: list[Outcome] = []
        for one in action.batch:
            row = Action("", stage=one.stage, task=one.task)
            held = await self._task(row, late=not one.current) if one.worker < 0 else self.busy[one.worker]
            outcomes.append(self._outcome(held, one.how))
        await self._written(outcomes)

    async def _end(self, held: ClaimedTask, how: str) -> None:
        await self._written([self._outcome(held, how)])

    def _outcome(self, held: ClaimedTask, how: str) -> Outcome:
        kind: Any = "failed" if how == "hopeless" else how
        error = {"message": "boom"} if kind == "failed" else None
        return Outcome(task=held, kind=kind, result="1", error=error, retryable=how != "hopeless")

    async def _written(self, outcomes: list[Outcome]) -> None:
        async with self.app.database.transaction() as session:
            await record_outcomes(session, self.app.bus, outcomes, "a worker")

    async def _rescue_task(self, action: Action) -> None:
        await rescue_tasks(self.app.database, self.app.bus, [await self._task(action)], "a reconciler")

    async def _expire_task(self, action: Action) -> None:
        given = {"key": (await self._row(action))["key"]}
        await self._repair(EXPIRE_TASK, given)

    async def _pass_deadline(self, _: Action) -> None:
        sets = f"deadline_at = {LONG_AGO}"
        await self._repair(f"UPDATE app.jobs SET {sets} WHERE job_id = %(id)s", {"id": self.job_id})  # noqa: S608

    async def _pass_timeout(self, action: Action) -> None:
        given = {"key": (await self._row(action))["key"]}
        await self._repair(f"UPDATE app.tasks SET deadline_at = {LONG_AGO} WHERE task_id = %(key)s", given)  # noqa: S608

    async def _pass_grace(self, action: Action) -> None:
        where = "WHERE job_id = %(id)s AND stage = %(stage)s"
        given = {"id": self.job_id, "stage": action.stage + 1}
        await self._repair(f"UPDATE app.stages SET stopped_at = {LONG_AGO} {where}", given)  # noqa: S608

    async def _end_overdue_job(self, _: Action) -> None:
        await end_overdue_job(self.app.database, self.app.bus, self.job_id)

    async def _end_overdue_task(self, action: Action) -> None:
        await end_overdue_tasks(self.app.database, self.app.bus, [await self._task(action)], "a reconciler")

    async def _renew_task(self, action: Action) -> None:
        key = (await self._row(action))["key"]
        ((at, one),) = ((a, one) for a, one in self.busy.items() if isinstance(one, ClaimedTask) and one.key == key)
        await self._renewed(TASKS, key, one.lease_number, at)

    async def _claim_callback(self, action: Action) -> None:
        claim = Claim(record=CALLBACKS, types=[self.job.name], limit=1, owner=f"worker {action.worker}", lease=LONG)
        async with self.app.database.session() as session:
            (row,) = await claim_due(session, claim)
        self.busy[action.worker] = ClaimedCallback(**row)

    async def _late_callback(self, _: Action) -> None:
        (row,) = await run(
            self.owner,
            "SELECT callback_id::text AS key, c.* FROM app.callbacks AS c WHERE job_id = %(id)s",
            {"id": self.job_id},
        )
        known: dict[str, Any] = {name: row[name] for name in ClaimedCallback.__slots__}
        if row["status"] == "processing":
            known["lease_number"] -= 1
        known["lease_owner"] = "gone"
        await self._run_callback(ClaimedCallback(**known), 0)

    async def _expire_callback(self, _: Action) -> None:
        sets = f"lease_expires_at = {EXPIRED}"
        await self._repair(f"UPDATE app.callbacks SET {sets} WHERE job_id = %(id)s", {"id": self.job_id})  # noqa: S608

    async def _rescue_callback(self, _: Action) -> None:
        async with self.app.database.session() as session:
            found = await session.fetch("reconciler/expired_callbacks", {"limit": 10})
        callbacks = [ClaimedCallback(**row) for row in found]
        assert await rescue_callbacks(self.app.database, self.app.bus, callbacks, "a reconciler") == 1

    async def _cancel(self, _: Action) -> None:
        await cancel(self.app.database, self.app.bus, self.job_id, "nobody wants it")

    async def _resume(self, _: Action) -> None:
        await resume(self.app.database, self.app.bus, self.job_id)

    async def _crash(self, action: Action) -> None:
        del self.busy[action.worker]

    async def _poll(self, _: Action) -> None:
        """Nothing is written by it."""

    async def _lose_notice(self, _: Action) -> None:
        """Nor by this."""

    def keep(self, workers: tuple[model.Worker | None, ...]) -> None:
        """Forget what workers were busy with that, as the model has it, have nothing left to do."""
        for at, worker in enumerate(workers):
            if worker is None:
                self.busy.pop(at, None)
                self.seen.pop(at, None)

    async def rows(self) -> tuple[object, ...]:
        """The rows in the form of the model."""
        return await actual_rows(self.owner, self.job_id)

"""The worker: claims job messages, tasks and callbacks, and brings each to its recorded end."""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import psycopg

from ...statemachine.job import Job
from ...statemachine.records import Record
from ...statemachine.tables import CALLBACKS, TASKS
from ...statemachine.task import Task
from ..bus.messages import Kind
from ..bus.port import Bus, WorkSource
from ..executor.batch_completer import BatchCompleter
from ..executor.call import Call
from ..executor.cancelling import cancel_all
from ..executor.prefetch_policy import PrefetchPolicy
from ..executor.runner import Runner
from ..executor.task_executor import TaskExecutor
from ..flow.callback import run_callback
from ..flow.flow import Flow, Takes, taking_none
from ..leases.lease_table import LeaseTable
from ..leases.renewer import LeaseRenewer
from ..logs import logger
from ..reconciler import Reconciler
from ..settings import Settings
from ..store.database import Database
from ..store.failures import Failures
from ..store.rows import ClaimedCallback, ClaimedTask, JobMessage, StageRow
from ..store.session import Claim, Note, Row
from ..store.unclaimable import Unclaimable
from .broker_loops import BrokerLoops
from .claim_on_open import Taking
from .claims import Claimer, claiming
from .job_messages import JobMessages
from .loops import Loops
from .producer import ConcurrentExecutor, Executor, Producer
from .shared_executor import SharedExecutor

log = logger("worker")
SLOTS: Mapping[Kind, int] = {"job": 4, "callback": 4}
CLAIM_SECONDS = 5.0


class Worker:
    """Runs the given jobs' handlers. It claims only the task types and job types that it declares."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        jobs: Sequence[Job],
        settings: Settings,
        more: Mapping[str, object] | None = None,
    ) -> None:
        # Process ids come again, within the hour on a busy machine: the name of a lost worker must not.
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._database = database
        self._bus = bus
        self._jobs = {job.name: job for job in jobs}
        self._tasks: dict[str, Task[..., Any]] = {name: task for job in jobs for name, task in job.tasks.items()}
        self._settings = settings
        self._more = more or {}
        self._held = LeaseTable()
        self._unclaimable = Unclaimable(database, self.name)
        self._stopping = asyncio.Event()
        self._turn = 0

    def stop(self) -> None:
        """Ask the worker to end: it claims nothing more, waits `grace` seconds, and releases what has not finished."""
        self._stopping.set()

    def ended(self, work: object) -> "asyncio.Future[None]":
        """Done once the outcome of `work`, which has been claimed and not yet begun, is committed or given up."""
        match work:
            case JobMessage():
                return self._held.done_future("job", work.job_id, work.lease_number)
            case ClaimedCallback():
                return self._held.done_future("callback", work.key, work.lease_number)
            case Call():
                return self._held.done_future("task", work.task.key, work.task.lease_number)
            case _:
                raise TypeError(f"{work!r} was not claimed here")

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop` is called, or until nothing that this worker could do is left, if `until_idle`."""
        settings = self._settings
        self._runner = Runner(self._database, self._tasks, settings.concurrency)
        self._completer = BatchCompleter(self._database, self._bus, self._held, self.name)
        prefetch_policy = PrefetchPolicy(settings.concurrency, settings.prefetch)
        self._hands = TaskExecutor(self._runner, prefetch_policy, settings.concurrency, self._completer)
        self._flow = Flow(self._database, self._bus, self.name, self._runner.call, self._met, self._taking())
        self._messages = JobMessages(self._flow, self._jobs, self._held, settings.lease, self._unclaimable)
        renewer = LeaseRenewer(self._database, self._held, self.name, settings.lease)
        shared = SharedExecutor(self._hands)
        intakes = self._bus.intakes(self._claimer())
        self._feeds: dict[WorkSource, Producer[Any]] = {intake: self._feed(intake, shared) for intake in intakes}
        self._posting = BrokerLoops(self._database, self._bus, settings)
        renewer.start()
        failures = Failures()
        kept = Loops(failures)
        settling = kept.start("completer", self._completer.run)
        feeding = [kept.start(f"feed of {feed.name}", feed.run) for feed in self._feeds.values()]
        reconciler = Reconciler(
            self._database,
            self._bus,
            self.name,
            settings,
            settings.lease,
            beat=self._posting.beat,
            failures=failures,
        )
        loops = [
            kept.start("listener", partial(self._bus.listen, self._wake)),
            kept.start("reconciler", reconciler.run),
            kept.start("heartbeat", reconciler.beat_on),
            *(kept.start(name, loop) for name, loop in self._posting.loops().items()),
        ]
        if until_idle:
            loops.append(kept.start("watch for idleness", self._stop_when_idle))
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*feeding, *loops, settling, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await self._end_feeds(feeding)
            await cancel_all([*loops, stopped])
            await asyncio.gather(*(feed.drain(settings.grace) for feed in self._feeds.values()))
            await asyncio.gather(*(intake.close() for intake in self._feeds))
            self._completer.close()
            await settling
            renewer.stop()
            await self._runner.close()
        for ended in (*feeding, *loops):
            if not ended.cancelled() and (error := ended.exception()) is not None:
                raise error
        await reconciler.stopped()

    def _feed(self, intake: WorkSource, hands: SharedExecutor[Call]) -> Producer[Any]:
        """A feed for what comes in there: tasks go to the hands, whatever queue they come from."""
        slots = sum(SLOTS[kind] for kind in intake.kinds if kind in SLOTS)
        crew: Executor[Any] = (
            hands.share() if "task" in intake.kinds else ConcurrentExecutor(intake.name, slots, self._handle)
        )
        participant = self._database.outage.participant()
        return Producer(intake.name, crew, self._settings.poll, intake.claim, participant, waits=intake.waits)

    def _taking(self) -> Callable[[], AbstractContextManager[Takes]]:
        """Where tasks are messages, each waits for its own."""
        if self._bus.routes:
            return taking_none

        def claim(kinds: list[str], limit: int) -> Claim:
            return self._claim_of("task", TASKS, kinds, limit, self._unclaimable.keys("claim task"))

        return Taking(self._hands, self._held, self._tasks, claim=claim, calls=self._calls)

    def _claimer(self) -> Claimer:
        jobs = list(self._jobs)
        types: dict[Kind, list[str]] = {"job": jobs, "task": list(self._tasks), "callback": jobs}
        due: dict[Kind, Callable[[int], Awaitable[Sequence[object]]]] = {
            "job": lambda limit: self._messages.claim(self._rotated(self._jobs), limit),
            "task": self._claim_tasks,
            "callback": self._claim_callbacks,
        }
        return Claimer(
            self._database,
            held=self._held,
            owner=self.name,
            lease=self._settings.lease,
            types=types,
            due=due,
            calls=self._calls,
        )

    async def _handle(self, work: JobMessage | ClaimedCallback) -> None:
        if isinstance(work, JobMessage):
            await self._messages.handle(work)
            self._posting.wake("task")  # what it has opened is here sooner than the word of it
        else:
            await self._run_callback(work)

    async def _end_feeds(self, feeding: Sequence[asyncio.Task[None]]) -> None:
        """Let claims under way come to their end, then give back at once what has no place yet."""
        for feed in self._feeds.values():
            feed.close()
        _, late = await asyncio.wait(feeding, timeout=CLAIM_SECONDS)
        await cancel_all(late)
        self._hands.stop()

    def _wake(self, kind: Kind) -> None:
        for intake, feed in self._feeds.items():
            if kind in intake.kinds:
                feed.wake()
        self._posting.wake(kind)

    async def _stop_when_idle(self) -> None:
        """End once no job or callback that this worker declares is open, wherever it is being worked on."""
        while True:
            if self._held.empty and await self._nothing_left():
                self._stopping.set()
                return
            await asyncio.sleep(self._settings.poll / 10)

    async def _nothing_left(self) -> bool:
        """Whether no declared job or callback is open."""
        kinds = {"kinds": list(self._jobs)}
        (row,) = await self._database.read(lambda session: session.fetch("worker/unfinished", kinds))
        return not row["unfinished"]

    async def _claim_tasks(self, limit: int) -> list[Call]:
        """Claim up to `limit` tasks: as many as can begin at once, and where there are more, a store of brief ones."""
        kinds, free_slots = self._rotated(self._tasks), self._hands.free_slots
        calls = await self._claim_calls(kinds, min(limit, free_slots))
        if len(calls) < free_slots:
            return calls
        for together, most in self._hands.prefetch_allowance(kinds):
            if len(calls) < limit:
                try:
                    calls += await self._claim_calls(together, min(limit - len(calls), most))
                except psycopg.Error:
                    if not calls:
                        raise
                    break  # what was won before has to be run; the next claim tells of the error
        return calls

    async def _claim_calls(self, kinds: list[str], limit: int) -> list[Call]:
        if not limit:
            return []
        return self._calls(await self._claim("task", TASKS, kinds, limit))

    def _calls(self, rows: Sequence[Row]) -> list[Call]:
        """Claimed rows as calls, which can be asked to stop from here on."""
        calls = [Call(ClaimedTask(**row), self._tell, self._held.begin_task) for row in rows]
        self._held.set_stop_functions({call.task.key: call.ask_to_stop for call in calls})
        return calls

    async def _claim_callbacks(self, limit: int) -> list[ClaimedCallback]:
        rows = await self._claim("callback", CALLBACKS, self._rotated(self._jobs), limit)
        return [ClaimedCallback(**row) for row in rows]

    async def _claim(self, kind: Kind, record: Record, kinds: list[str], limit: int) -> list[Row]:
        async def claim(limit: int, without: Sequence[str]) -> list[Row]:
            wanted = self._claim_of(kind, record, kinds, limit, without)
            with self._held.claiming(kind) as won:
                async with self._database.session() as session:
                    rows = await session.claim(wanted)
                won.update({row["key"]: row["lease_number"] for row in rows})
            return rows

        async def due(limit: int, without: Sequence[str]) -> list[Row]:
            async with self._database.session() as session:
                return await session.due(self._claim_of(kind, record, kinds, limit, without))

        return list(await self._unclaimable.claim(f"claim {kind}", limit, claim, due))

    def _claim_of(self, kind: Kind, record: Record, kinds: list[str], limit: int, without: Sequence[str] = ()) -> Claim:
        return Claim(
            record=record,
            event=claiming(kind, self.name),
            kinds=kinds,
            limit=limit,
            owner=self.name,
            lease=self._settings.lease,
            without=without,
        )

    def _rotated(self, kinds: Mapping[str, object]) -> list[str]:
        """The kinds, beginning with another one each time, so that none starves behind a long queue of the first."""
        names = list(kinds)
        self._turn += 1
        start = self._turn % len(names) if names else 0
        return names[start:] + names[:start]

    def _met(self, job: Row, stages: Sequence[StageRow]) -> None:
        """A job that is about to have tasks, some of them for this worker: what they need of it is known by now."""
        if stages and job["status"] in {"queued", "processing"}:
            self._runner.facts.keep(job, stages)

    def _tell(self, task: ClaimedTask, kind: str, data: Mapping[str, object]) -> None:
        self._completer.add_note(
            Note(
                type=kind,
                job_id=task.job_id,
                task_id=task.key,
                stage=task.stage,
                attempt=task.attempt,
                lease_number=task.lease_number,
                data=data,
            )
        )

    async def _run_callback(self, callback: ClaimedCallback) -> None:
        try:
            await run_callback(self._flow, self._jobs[callback.job_type], callback, self._more)
        finally:
            self._held.drop("callback", [(callback.key, callback.lease_number)])

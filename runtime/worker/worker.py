"""The worker: claims job messages, tasks and callbacks, handles them and records their outcomes."""

import asyncio
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from ...statemachine.job import Job
from ...statemachine.lifecycle import NoteType
from ...statemachine.lifecycles import JOB
from ...statemachine.task import Task
from ..bus.messages import KINDS, Kind, MessageRef
from ..bus.port import Bus
from ..executor.batch_completer import BatchCompleter
from ..executor.cancelling import cancel_all
from ..executor.prefetch_policy import PrefetchPolicy
from ..executor.runner import Runner
from ..executor.task_executor import TaskExecutor
from ..flow.callback import run_callback
from ..flow.flow import Flow, TaskClaim
from ..leases.lease_table import LeaseTable
from ..leases.renewer import LeaseRenewer
from ..logs import logger
from ..reconciler import Reconciler
from ..settings import Settings
from ..store.database import Database
from ..store.failures import Failures
from ..store.rows import ClaimedCallback, ClaimedTask, JobMessage, JobRow, StageRow
from ..store.session import Note
from ..store.turns import Turns
from ..store.unclaimable import Unclaimable
from .broker_loops import BrokerLoops
from .claim_on_open import ClaimOnOpen
from .claimer import Claimer
from .job_messages import JobMessages
from .loops import Loops
from .producer import ConcurrentExecutor, Executor, Producer
from .sources import DueJobs, DueTasks, DueWork, MessageWork, WorkSource
from .work import TaskCalls, callbacks_of, job_messages_of

log = logger("worker")
SLOTS: Mapping[Kind, int] = {"job": 4, "callback": 4}
CLAIM_SECONDS = 5.0


class Worker:
    """Runs the given jobs' handlers. It claims only the task types and job types that it declares.

    `more` are values that callbacks may take by name besides the job's own. Create it on the event loop that runs it.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        jobs: Sequence[Job],
        settings: Settings,
        more: Mapping[str, object] | None = None,
    ) -> None:
        # Process ids are reused, within the hour on a busy machine; the name of a lost worker must not be.
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._database = database
        self._bus = bus
        self._jobs = {job.name: job for job in jobs}
        self._settings = settings
        self._more = more or {}
        self._stopping = asyncio.Event()
        self._leases = LeaseTable()
        self._renewer = LeaseRenewer(database, self._leases, self.name, settings.lease)
        tasks: dict[str, Task[..., Any]] = {name: task for job in jobs for name, task in job.tasks.items()}
        self._runner = Runner(database, tasks, settings.concurrency)
        self._completer = BatchCompleter(database, bus, self._leases, self.name)
        policy = PrefetchPolicy(settings.concurrency, settings.prefetch)
        self._executor = TaskExecutor(self._runner, policy, settings.concurrency, self._completer)
        self._task_types = list(tasks)
        self._calls = TaskCalls(self._leases, self._report)
        self._claimer = self._made_claimer()
        self._flow = Flow(database, bus, self.name, self._runner.call, self._remember, self._claim_on_open)
        self._messages = JobMessages(self._flow, self._jobs, self._leases, self._claimer)
        self._broker = BrokerLoops(database, bus, settings)
        self._failures = Failures()
        self._turns = Turns(settings.lease, database.outage)
        self._loops = Loops(self._failures, self._turns)
        self._reconciler = Reconciler(
            database,
            bus,
            self.name,
            settings,
            settings.lease,
            write_heartbeat=self._broker.write_heartbeat,
            failures=self._failures,
            turns=self._turns,
        )
        self._sources: Sequence[WorkSource] = self._made_sources()
        self._producers = [self._producer(source) for source in self._sources]

    def stop(self) -> None:
        """Ask the worker to end: it claims nothing more, waits `grace` seconds, and releases unfinished work."""
        self._stopping.set()

    def lease_ended(self, lease: MessageRef) -> "asyncio.Future[None]":
        """Done once the outcome of the row that this worker claimed under `lease` is committed or abandoned."""
        return self._leases.done_future(lease.kind, lease.key, lease.lease_number)

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop` is called; with `until_idle`, at most until nothing is left that this worker could do."""
        self._renewer.start()
        completing = self._loops.start("completer", self._completer.run)
        producing = [self._loops.start(f"producer of {one.name}", one.run) for one in self._producers]
        loops = [
            self._loops.start("listener", partial(self._bus.listen, self._wake)),
            self._loops.start("reconciler", self._reconciler.run),
            self._loops.start("heartbeat", self._reconciler.run_heartbeat),
            self._loops.start("watch for stuck loops", self._turns.watch),
            *(self._loops.start(name, loop) for name, loop in self._broker.loops().items()),
        ]
        if until_idle:
            loops.append(self._loops.start("watch for idleness", self._stop_when_idle))
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*producing, *loops, completing, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await self._end_producers(producing)
            await cancel_all([*loops, stopped])
            await asyncio.gather(*(one.drain(self._settings.grace) for one in self._producers))
            await asyncio.gather(*(source.close() for source in self._sources))
            self._completer.close()
            await completing
            self._renewer.stop()
            await self._runner.close()
        for ended in (*producing, *loops):
            if not ended.cancelled() and (error := ended.exception()) is not None:
                raise error
        await self._reconciler.stopped()

    def _made_claimer(self) -> Claimer:
        jobs = list(self._jobs)
        return Claimer(
            self._database,
            self._leases,
            Unclaimable(self._database, self.name),
            owner=self.name,
            lease=self._settings.lease,
            types={"job": jobs, "task": self._task_types, "callback": jobs},
            to_work={"job": job_messages_of, "task": self._calls.of, "callback": callbacks_of},
        )

    def _made_sources(self) -> Sequence[WorkSource]:
        """The message sources of the bus; if it sends no messages, the due rows."""
        messages = [MessageWork(source, self._claimer) for source in self._bus.message_sources()]
        due: dict[Kind, WorkSource] = {
            "job": DueJobs(self._claimer, self._messages),
            "task": DueTasks(self._claimer, self._executor),
            "callback": DueWork("callback", self._claimer),
        }
        return messages or [due[kind] for kind in KINDS]

    def _producer(self, source: WorkSource) -> Producer[Any]:
        """The task executor for tasks, from any source; other work is handled on the loop."""
        slots = sum(SLOTS[kind] for kind in source.kinds if kind in SLOTS)
        executor: Executor[Any] = (
            self._executor if "task" in source.kinds else ConcurrentExecutor(source.name, slots, self._handle)
        )
        return Producer(source, executor, self._settings.poll, self._database.outage.participant())

    def _claim_on_open(self) -> AbstractContextManager[TaskClaim | None]:
        """If tasks are sent as messages, each waits for its own message."""
        if self._bus.routes:
            return nullcontext()
        return ClaimOnOpen(self._executor, self._leases, self._claimer, self._calls, self._task_types)

    async def _handle(self, work: JobMessage | ClaimedCallback) -> None:
        if isinstance(work, JobMessage):
            await self._messages.handle(work)
            self._broker.wake("task")  # this worker knows of a stage that it opened before the announcement arrives
        else:
            await self._run_callback(work)

    async def _run_callback(self, callback: ClaimedCallback) -> None:
        try:
            await run_callback(self._flow, self._jobs[callback.job_type], callback, self._more)
        finally:
            self._leases.drop("callback", [(callback.key, callback.lease_number)])

    async def _end_producers(self, producing: Sequence["asyncio.Task[None]"]) -> None:
        """Let claims in progress complete, then release at once the tasks without a slot."""
        for producer in self._producers:
            producer.close()
        _, late = await asyncio.wait(producing, timeout=CLAIM_SECONDS)
        await cancel_all(late)
        self._executor.stop()

    def _wake(self, kind: Kind) -> None:
        for source, producer in zip(self._sources, self._producers, strict=True):
            if kind in source.kinds:
                producer.wake()
        self._broker.wake(kind)

    async def _stop_when_idle(self) -> None:
        """End once no job or callback that this worker declares is open, in any worker."""
        while True:
            if self._leases.empty and await self._nothing_left():
                self._stopping.set()
                return
            await asyncio.sleep(self._settings.poll / 10)

    async def _nothing_left(self) -> bool:
        """Whether no declared job or callback is open."""
        types = {"types": list(self._jobs)}
        (row,) = await self._database.read(lambda session: session.fetch("worker/unfinished", types))
        return not row["unfinished"]

    def _remember(self, job: JobRow, stages: Sequence[StageRow]) -> None:
        """Cache what the tasks of a job need: it will soon have tasks, perhaps for this worker."""
        if stages and job.status in JOB.open_states:
            self._runner.job_cache.keep(job, stages)

    def _report(self, task: ClaimedTask, kind: str, data: Mapping[str, object]) -> None:
        """Write a handler's checkpoint or progress."""
        self._completer.add_note(
            Note(
                type=NoteType(kind),
                job_id=task.job_id,
                task_id=task.key,
                stage=task.stage,
                attempt=task.attempt,
                lease_number=task.lease_number,
                data=data,
            )
        )

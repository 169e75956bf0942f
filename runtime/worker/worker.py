"""The worker: claims job messages, tasks and callbacks, and brings each to its recorded end."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, cast

import psycopg
from psycopg_pool import PoolTimeout

from ...statemachine.context import TaskContext
from ...statemachine.job import Job
from ...statemachine.machine import WrittenEvent
from ...statemachine.records import Record
from ...statemachine.tables import CALLBACKS, TASKS
from ...statemachine.task import Task
from ..bus.letter import Kind
from ..bus.port import Bus, Intake, Work
from ..flow.callback import run_callback
from ..flow.flow import Flow
from ..flow.handle_job import handle_job_message
from ..flow.outcome import Outcome
from ..flow.put_off import put_off
from ..handlers.runner import Runner, context_of
from ..logs import logger
from ..reconciler import Reconciler
from ..settings import Settings
from ..store.database import Database
from ..store.outage import passes
from ..store.rows import ClaimedCallback, ClaimedTask, JobMessage
from ..store.session import Claim, Note, Row
from .cancelling import cancel_all
from .claims import Claimer, claiming
from .feed import Feed
from .held import Held
from .leases import LeaseKeeper
from .posting import Posting
from .settler import Settler

log = logger("worker")
JOB_PLACES = 4
CALLBACK_PLACES = 4
CLAIM_SECONDS = 5.0
_numbers = count(1)


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
        self.name = f"{socket.gethostname()}-{os.getpid()}-{next(_numbers)}"
        self._database = database
        self._bus = bus
        self._jobs = {job.name: job for job in jobs}
        self._tasks: dict[str, Task[..., Any]] = {name: task for job in jobs for name, task in job.tasks.items()}
        self._settings = settings
        self._more = more or {}
        self._held = Held()
        self._stopping = asyncio.Event()
        self._turn = 0
        self._waiting: set[asyncio.Task[object]] = set()

    def stop(self) -> None:
        """Ask the worker to end: it claims nothing more, waits `grace` seconds, and releases what has not finished."""
        self._stopping.set()

    def ended(self, work: Work) -> "asyncio.Future[None]":
        """Done once the outcome of `work`, which has been claimed and not yet begun, is committed or given up."""
        match work:
            case JobMessage():
                return self._held.watch("job", work.job_id)
            case ClaimedTask():
                return self._held.watch("task", work.key)
            case ClaimedCallback():
                return self._held.watch("callback", work.key)

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop` is called, or until nothing that this worker could do is left, if `until_idle`."""
        settings = self._settings
        self._runner = Runner(self._database, self._tasks, settings.concurrency)
        self._flow = Flow(self._database, self._bus, self.name, self._runner.call)
        self._settler = Settler(self._database, self._bus, self._held, self.name)
        self._places = asyncio.Semaphore(settings.concurrency)
        keeper = LeaseKeeper(self._database, self._held, self.name, settings.lease)
        places = {"job": JOB_PLACES, "task": settings.concurrency + settings.prefetch, "callback": CALLBACK_PLACES}
        intakes = self._bus.intakes(self._claimer())
        self._feeds: dict[Intake, Feed[Work]] = {
            intake: Feed(
                intake.name,
                sum(places[kind] for kind in intake.kinds),
                settings.poll,
                intake.claim,
                self._handle,
                waits=intake.waits,
            )
            for intake in intakes
        }
        self._posting = Posting(self._database, self._bus, settings)
        keeper.start()
        settling = asyncio.create_task(self._settler.run())
        feeding = [asyncio.create_task(feed.run()) for feed in self._feeds.values()]
        reconciler = Reconciler(self._database, self._bus, self.name, settings, self._posting.beat)
        loops = [asyncio.create_task(self._bus.listen(self._wake)), asyncio.create_task(reconciler.run())]
        loops += [asyncio.create_task(loop) for loop in self._posting.loops()]
        if until_idle:
            loops.append(asyncio.create_task(self._stop_when_idle()))
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*feeding, *loops, settling, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await self._end_feeds(feeding)
            await cancel_all([*loops, stopped])
            await asyncio.gather(*(feed.drain(settings.grace) for feed in self._feeds.values()))
            await asyncio.gather(*(intake.close() for intake in self._feeds))
            self._settler.close()
            await settling
            keeper.stop()
            await self._runner.close()
        for ended in (*feeding, *loops):
            if not ended.cancelled() and (error := ended.exception()) is not None:
                raise error
        await reconciler.stopped()

    async def _end_feeds(self, feeding: Sequence[asyncio.Task[None]]) -> None:
        """Let claims under way come to their end, then give back at once what has no place yet."""
        for feed in self._feeds.values():
            feed.close()
        _, late = await asyncio.wait(feeding, timeout=CLAIM_SECONDS)
        await cancel_all(late)
        for waiting in tuple(self._waiting):
            waiting.cancel()

    def _wake(self, kind: Kind) -> None:
        for intake, feed in self._feeds.items():
            if kind in intake.kinds:
                feed.wake()
        self._posting.wake(kind)

    async def _stop_when_idle(self) -> None:
        """End once no job or callback that this worker declares is open, wherever it is being worked on."""
        while True:
            for feed in self._feeds.values():
                await feed.idle.wait()
            if self._held.empty and await self._nothing_left():
                self._stopping.set()
                return
            await asyncio.sleep(self._settings.poll / 10)

    async def _nothing_left(self) -> bool:
        """Whether no declared job or callback is open; not as long as the database does not say so."""
        try:
            async with self._database.session() as session:
                (row,) = await session.fetch("unfinished", {"kinds": list(self._jobs)})
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.info("whether work is left could not be read; asking again", error=str(error).strip())
            return False
        return not row["unfinished"]

    def _claimer(self) -> Claimer:
        jobs = list(self._jobs)
        types: dict[Kind, list[str]] = {"job": jobs, "task": list(self._tasks), "callback": jobs}
        due: dict[Kind, Callable[[int], Awaitable[Sequence[Work]]]] = {
            "job": self._claim_jobs,
            "task": self._claim_tasks,
            "callback": self._claim_callbacks,
        }
        return Claimer(
            self._database, held=self._held, owner=self.name, lease=self._settings.lease, types=types, due=due
        )

    async def _handle(self, work: Work) -> None:
        match work:
            case JobMessage():
                await self._handle_job(work)
            case ClaimedTask():
                await self._run_task(work)
            case ClaimedCallback():
                await self._run_callback(work)

    async def _claim_jobs(self, limit: int) -> list[JobMessage]:
        parameters = {
            "kinds": self._rotated(self._jobs),
            "limit": limit,
            "owner": self.name,
            "lease": self._settings.lease,
        }
        async with self._database.session() as session:
            rows = await session.fetch("claim_job_messages", parameters)
        messages = [JobMessage(row["job_id"], row["job_type"], row["lease_number"]) for row in rows]
        for message in messages:
            self._held.hold("job", message.job_id, message.lease_number)
        return messages

    async def _claim_tasks(self, limit: int) -> list[ClaimedTask]:
        rows = await self._claim(TASKS, claiming("task", self.name), self._rotated(self._tasks), limit)
        return [ClaimedTask(**row) for row in rows]

    async def _claim_callbacks(self, limit: int) -> list[ClaimedCallback]:
        rows = await self._claim(CALLBACKS, claiming("callback", self.name), self._rotated(self._jobs), limit)
        return [ClaimedCallback(**row) for row in rows]

    async def _claim(self, record: Record, event: WrittenEvent | None, kinds: list[str], limit: int) -> list[Row]:
        async with self._database.session() as session:
            return await session.claim(
                Claim(
                    record=record,
                    event=event,
                    kinds=kinds,
                    limit=limit,
                    owner=self.name,
                    lease=self._settings.lease,
                ),
            )

    def _rotated(self, kinds: Mapping[str, object]) -> list[str]:
        """The kinds, beginning with another one each time, so that none starves behind a long queue of the first."""
        names = list(kinds)
        self._turn += 1
        start = self._turn % len(names) if names else 0
        return names[start:] + names[:start]

    async def _handle_job(self, message: JobMessage) -> None:
        try:
            done = await handle_job_message(self._flow, self._jobs, message)
            log.debug("job message handled", job=message.job_id, done=done)
        except Exception as error:  # noqa: BLE001 - logged, told by an event, and counted in put_off
            if isinstance(error, psycopg.Error | PoolTimeout) and passes(error):
                log.warning("a job message comes again", job=message.job_id, error=str(error).strip())
            else:
                await self._put_off(message, error)
        finally:
            self._held.drop("job", message.job_id)

    async def _put_off(self, message: JobMessage, error: Exception) -> None:
        """Where not even that can be written, the message comes again when its lease has run out."""
        try:
            done = await put_off(self._flow, message, error)
        except (psycopg.Error, PoolTimeout) as lost:
            done = f"it comes again with its lease: {str(lost).strip()}"
        log.error("a job message could not be handled", job=message.job_id, done=done, exc_info=error)

    async def _run_task(self, task: ClaimedTask) -> None:
        context = context_of(task, lambda kind, data: self._tell(task, kind, data))
        self._held.hold_task(task.key, task.lease_number, context.ask_to_stop)
        try:
            outcome = await self._in_its_place(task, context)
        except asyncio.CancelledError:
            outcome = Outcome(task=task, kind="released", reason="worker stopping")
        self._settler.put(outcome)

    async def _in_its_place(self, task: ClaimedTask, context: TaskContext) -> Outcome:
        """Run the handler once there is a place for it. A task that still waits for one is given back at once."""
        if self._stopping.is_set():
            raise asyncio.CancelledError
        waiting = asyncio.current_task()
        if waiting is not None:
            self._waiting.add(waiting)
        try:
            await self._places.acquire()
        finally:
            self._waiting.discard(cast("asyncio.Task[object]", waiting))
        self._held.begin_task(task.key)
        try:
            return await self._runner.run(task, context)
        finally:
            self._places.release()

    def _tell(self, task: ClaimedTask, kind: str, data: Mapping[str, object]) -> None:
        self._settler.tell(
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
        self._held.hold("callback", callback.key, callback.lease_number)
        try:
            await run_callback(self._flow, self._jobs[callback.job_type], callback, self._more)
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("a callback comes again", job=callback.job_id, error=str(error).strip())
        finally:
            self._held.drop("callback", callback.key)

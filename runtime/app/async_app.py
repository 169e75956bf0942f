"""The async application: a database, a bus and the declared jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, Self, TypeVar

from ...diagrams.timeline import Timeline
from ...diagrams.timeline_text import render_timeline
from ...statemachine.errors import DefinitionError, OperationError
from ...statemachine.job import Job
from ...statemachine.records import Record, Schema
from ...statemachine.tables import SCHEMA
from ..bus.port import Bus, Transport
from ..errors import UnknownJobError, UnknownTypeError
from ..flow.cancel import cancel
from ..flow.resume import ResumePlan, resume
from ..flow.submit import Submission, submit
from ..logs import logger
from ..settings import Settings
from ..store.database import PATIENCE_SECONDS, Database
from ..store.session import Row, Session
from ..worker.worker import Worker
from .audit import Audit, read_audit
from .buses import BusName, bus_of, database_of
from .diagnose import Diagnosis, why
from .diagnosis_rows import read_facts
from .history import EventCursor, read_events_after, read_timeline, timeline_json
from .records import Records

T = TypeVar("T")
log = logger("app")


class AsyncCoreMachine:
    """Submits, runs and shows jobs. Use it as an async context manager, or call `open` and `close`.

    If a request waits for a lock, the log names its holder after a second. After ten seconds the request raises
    LockTimeoutError, with nothing changed.

    Without a `url` it runs on the embedded PostgreSQL and installs its schema there. On your own server the schema
    must have been installed (`coremachine db install`), unless `install=True`. `records` are your application's
    records, whose tables are installed with those of CoreMachine. `bus` is "postgres" or "servicebus", and overrides
    the settings; or a custom transport.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each option
        self,
        url: str | None = None,
        *,
        jobs: Iterable[Job] = (),
        records: Iterable[Record] = (),
        settings: Settings | None = None,
        install: bool = False,
        bus: BusName | Transport | None = None,
    ) -> None:
        self.settings = settings or Settings()
        if isinstance(bus, str):
            self.settings = self.settings.model_copy(update={"bus": bus})
        self._transport = None if isinstance(bus, str) else bus
        self.jobs = {job.name: job for job in jobs}
        self.schema = Schema((*SCHEMA.records, *records))
        self._url = url or self.settings.url
        self._install = install
        self._leave: Callable[[], None] | None = None
        self._database: Database | None = None
        self._bus: Bus | None = None
        _check_task_names(self.jobs)

    async def open(self) -> Self:
        """Connect, and start the embedded server if there is no URL.

        Raises DatabaseUnreachableError, DatabaseEncodingError, DirectUrlError, SchemaError, LockTimeoutError, or
        EmbeddedServerError.
        """
        url, embedded = self._url, self._url is None
        if url is None:
            url = await asyncio.to_thread(self._start_embedded)
        database = database_of(url, self.settings, self.schema)
        try:
            await database.reach()
            if embedded or self._install:
                await database.install()
            await database.check_installed()
            bus = bus_of(database, self.settings, self.jobs.values(), self._transport)
            await database.open()
            _warn_of_polling(database, self.settings)
        except BaseException:
            await database.close()
            self._leave_embedded()
            raise
        self._database = database
        self._bus = bus
        return self

    async def close(self) -> None:
        """Close the connections, and release the embedded server."""
        await self.disconnect()
        await asyncio.to_thread(self._leave_embedded)

    async def disconnect(self) -> None:
        """Close the connections. The embedded server, if it is used, is released when the process ends."""
        database, self._database = self._database, None
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()
        if database is not None:
            await database.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str | None:
        """The URL from the constructor or the settings; None on the embedded server."""
        return self._url

    @property
    def is_open(self) -> bool:
        """Whether it is connected to its database."""
        return self._database is not None

    @property
    def database(self) -> Database:
        """The open database. Raises OperationError before `open`."""
        if self._database is None:
            raise OperationError("this CoreMachine is not open; use it in a with block, or call open() first")
        return self._database

    @property
    def bus(self) -> Bus:
        """The open bus. Raises OperationError before `open`."""
        if self._bus is None:
            raise OperationError("this CoreMachine is not open; use it in a with block, or call open() first")
        return self._bus

    @property
    def records(self) -> Records:
        """Your application's records: create them, and fire their triggers."""
        return Records(self.database)

    async def submit(
        self, job: Job | str, /, key: str | None = None, deadline: float | None = None, **parameters: Any
    ) -> Submission:
        """Submit a job, or return it if it was submitted before: same type, parameters and key are the same job.

        `deadline`, in seconds from now, overrides the declared one. Raises ParameterError naming each
        parameter that the job does not accept, DefinitionError for an invalid deadline, and UnknownTypeError.
        """
        return await submit(self.database, self.bus, self.declared(job), parameters, key, deadline=deadline)

    def declared(self, job: Job | str) -> Job:
        """The declared job of that name. Raises UnknownTypeError."""
        name = job if isinstance(job, str) else job.name
        if name not in self.jobs:
            raise UnknownTypeError(name, tuple(self.jobs))
        return self.jobs[name]

    def worker(self) -> Worker:
        """A worker for the declared jobs. Run it with `await worker.run()`, stop it with `worker.stop()`.

        Raises RuntimeError if no event loop is running: a worker belongs to the loop on which it is made.
        """
        return Worker(self.database, self.bus, tuple(self.jobs.values()), self.settings, {"records": self.records})

    async def work(self, *, until_idle: bool = False) -> None:
        """Run a worker until it is cancelled, or, with `until_idle`, until nothing is left to do."""
        await self.worker().run(until_idle=until_idle)

    async def cancel(self, job_id: str, reason: str = "cancelled by a user") -> str:
        """Cancel a job. If it returns `processing`, running tasks have been asked to stop.

        Raises UnknownJobError, and IllegalMoveError for a job that has ended.
        """
        return await cancel(self.database, self.bus, await self.full_id(job_id), reason)

    async def resume(self, job_id: str, *, dry_run: bool = False) -> ResumePlan:
        """Continue a failed or cancelled job where it stopped, or, with `dry_run`, return what that would do.

        Raises UnknownJobError, and IllegalMoveError for a job in any other state.
        """
        return await resume(self.database, self.bus, await self.full_id(job_id), dry_run=dry_run)

    async def audit(self, only: Collection[str] = (), *, record: bool = False) -> Audit:
        """Check live data for every gap of the register, or for those with the ids in `only`. Locks nothing.

        With `record` each job with a critical or high finding gets a gap_found event. Raises UnknownGapError.
        """
        return await read_audit(self.database, self.settings, only, record=record)

    async def why(self, job_id: str) -> Diagnosis:
        """The diagnosis of a job: what it waits for, who holds it, until when. Raises UnknownJobError."""
        return why(await read_facts(self.database, self.settings, await self.full_id(job_id)))

    async def job(self, job_id: str) -> Row:
        """One job with its stages, by its id or an unambiguous prefix of it. Raises UnknownJobError."""
        full = await self.full_id(job_id)

        async def read(session: Session) -> Row:
            (row,) = await session.fetch("flow/load_job", {"job_id": full})
            return {**row, "stages": await session.fetch("flow/load_stages", {"job_id": full})}

        return await self._read(read)

    async def timeline(self, job_id: str, *, everything: bool = False, tz: tzinfo | None = None) -> str:
        """The execution timeline of a job as text, in the local time zone unless `tz` is given.

        It shows the headline events and the warnings, or `everything`. Raises UnknownJobError.
        """
        timeline = await self._timeline(job_id, everything=everything)
        return render_timeline(timeline, tz=tz or local_zone(), show_all=everything)

    async def timeline_data(
        self, job_id: str, *, everything: bool = False, tz: tzinfo | None = None
    ) -> dict[str, object]:
        """The execution timeline as JSON values. Raises UnknownJobError."""
        return timeline_json(await self._timeline(job_id, everything=everything), tz or local_zone())

    async def events_after(self, job_id: str, mark: EventCursor | None = None) -> tuple[list[Row], EventCursor]:
        """Events that a follower at `mark` has not received, in order, and its new mark. Misses none."""
        full = await self.full_id(job_id)
        return await self._read(lambda session: read_events_after(session, full, mark or EventCursor()))

    async def list_jobs(self, *, status: str | None = None, job_type: str | None = None, limit: int = 50) -> list[Row]:
        """The latest jobs, newest first, each with its current stage and the number of its tasks."""
        wanted = {"status": status, "job_type": job_type, "limit": limit}
        return await self._read(lambda session: session.fetch("history/list_jobs", wanted))

    async def _timeline(self, job_id: str, *, everything: bool) -> Timeline:
        full = await self.full_id(job_id)
        return await self._read(lambda session: read_timeline(session, full, everything=everything))

    async def full_id(self, prefix: str) -> str:
        """The whole id of the only job whose id begins with `prefix`. Raises UnknownJobError."""
        given = {"prefix": prefix, "after": prefix + "g"}
        rows = await self._read(lambda session: session.fetch("history/jobs_by_prefix", given))
        if len(rows) != 1:
            raise UnknownJobError(prefix, tuple(row["job_id"][:16] for row in rows))
        found: str = rows[0]["job_id"]
        return found

    async def _read(self, work: Callable[[Session], Awaitable[T]]) -> T:
        return await self.database.read(work, PATIENCE_SECONDS)

    def _start_embedded(self) -> str:
        from ..embedded import EmbeddedServer

        server = EmbeddedServer.open(self.settings.data_dir)
        self._leave = server.close
        return server.url

    def _leave_embedded(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


def local_zone() -> tzinfo:
    """The time zone of this machine."""
    return datetime.now().astimezone().tzinfo or UTC


def _warn_of_polling(database: Database, settings: Settings) -> None:
    if settings.listen and database.session_url is None:
        what = "connected through a pooler, which cannot LISTEN: workers only poll"
        log.warning(what, every_s=settings.poll, do="set COREMACHINE_DIRECT_URL, or COREMACHINE_LISTEN=false")


def _check_task_names(jobs: Mapping[str, Job]) -> None:
    first: dict[str, tuple[str, Any]] = {}
    for job in jobs.values():
        for name, task in job.tasks.items():
            known_by, known = first.setdefault(name, (job.name, task))
            if known is not task:
                raise DefinitionError(f"{known_by} and {job.name} have different tasks called {name}; rename one")

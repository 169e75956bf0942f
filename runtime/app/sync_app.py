"""The sync interface: the same application for scripts, with its event loop in a separate thread."""

import asyncio
import atexit
import signal
import threading
import warnings
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from ...statemachine.errors import OperationError
from ...statemachine.job import Job
from ...statemachine.records import Record
from ..bus.port import Transport
from ..flow.resume import ResumePlan
from ..flow.submit import Submission
from ..settings import Settings
from ..worker.worker import Worker
from .async_app import AsyncCoreMachine
from .audit import Audit
from .buses import BusName
from .diagnose import Diagnosis

T = TypeVar("T")


class CoreMachine:
    """Submits, runs and shows jobs, from sync code. It connects at its first use.

        app = CoreMachine(jobs=[process_raster])        # embedded PostgreSQL; or CoreMachine("postgresql://…")
        job = app.submit(process_raster, raster="dem.npz")
        app.work(until_idle=True)
        print(app.timeline(job.id))

    The parameters are those of `AsyncCoreMachine`, which `async_app` is. Every method that uses the database raises
    LockTimeoutError, with nothing changed, if others hold a lock that it needs for ten seconds.
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
        self.async_app = AsyncCoreMachine(url, jobs=jobs, records=records, settings=settings, install=install, bus=bus)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def aio(self) -> AsyncCoreMachine:
        """The old name of `async_app`."""
        warnings.warn("CoreMachine.aio is now CoreMachine.async_app", DeprecationWarning, stacklevel=2)
        return self.async_app

    def submit(
        self, job: Job | str, /, key: str | None = None, deadline: float | None = None, **parameters: Any
    ) -> Submission:
        """Submit a job, or return it if it was submitted before. See `AsyncCoreMachine.submit`."""
        return self.run(self.async_app.submit(job, key=key, deadline=deadline, **parameters))

    def work(self, *, until_idle: bool = False) -> None:
        """Run a worker in this process until it is interrupted, or until nothing is left to do.

        SIGINT and SIGTERM stop it gracefully: unfinished work is released.
        """
        worker = self.run(self._made_worker())
        future = self._start(worker.run(until_idle=until_idle))
        with self._stopped_by_signals(worker):
            _wait(future)

    async def _made_worker(self) -> Worker:
        return self.async_app.worker()  # on the loop that will run it

    def timeline(self, job_id: str, *, everything: bool = False) -> str:
        """The execution timeline of a job as text. Raises UnknownJobError."""
        return self.run(self.async_app.timeline(job_id, everything=everything))

    def resume(self, job_id: str, *, dry_run: bool = False) -> ResumePlan:
        """Continue a failed or cancelled job where it stopped. See `AsyncCoreMachine.resume`."""
        return self.run(self.async_app.resume(job_id, dry_run=dry_run))

    def cancel(self, job_id: str, reason: str = "cancelled by a user") -> str:
        """Cancel a job. See `AsyncCoreMachine.cancel`."""
        return self.run(self.async_app.cancel(job_id, reason))

    def audit(self, only: Collection[str] = (), *, record: bool = False) -> Audit:
        """Check live data for every gap of the register. See `AsyncCoreMachine.audit`."""
        return self.run(self.async_app.audit(only, record=record))

    def why(self, job_id: str) -> Diagnosis:
        """The diagnosis of a job: what it waits for, who holds it, until when. Raises UnknownJobError."""
        return self.run(self.async_app.why(job_id))

    def job(self, job_id: str) -> dict[str, Any]:
        """One job with its stages. Raises UnknownJobError."""
        return self.run(self.async_app.job(job_id))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of `async_app` on this application's loop and return what it returns."""
        if self._loop is None:
            try:
                self._open()
            except BaseException:
                work.close()
                raise
        return self._start(work).result()

    def close(self) -> None:
        """Disconnect. A closed application opens again at its next use."""
        self._end(self.async_app.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run_loop, args=(loop,), name="coremachine", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.async_app.open(), loop).result()
        except BaseException:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            raise
        self._loop = loop
        atexit.register(self._disconnect_at_exit)

    def _end(self, closing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            atexit.unregister(self._disconnect_at_exit)
            asyncio.run_coroutine_threadsafe(closing(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()

    def _disconnect_at_exit(self) -> None:
        """A script need not close its application. The embedded server's own hook runs after this one."""
        self._end(self.async_app.disconnect)

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            raise OperationError("this CoreMachine was closed while it was used")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def _stopped_by_signals(self, worker: Worker) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(worker.stop)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _wait(future: Future[None]) -> None:
    """Wait in slices: on some systems a main thread that waits without a time-out handles no signal."""
    while True:
        try:
            future.result(timeout=0.5)
        except TimeoutError:
            if future.done():
                raise
        else:
            return

"""The steps of a reconciler: each finds its items, and handles them by the same moves as the flow."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..bus.port import Bus
from ..flow.deadline import end_overdue_job, end_overdue_tasks
from ..flow.rescue import close_counted_out, requeue_stalled, rescue_callbacks, rescue_tasks
from ..settings import Settings
from ..store.database import Database
from ..store.rows import ClaimedCallback, ClaimedTask
from ..store.session import Row
from .one_by_one import Name, OneByOne

AT_ONCE = 500
LOCK_SECONDS = 2.0
"""A client that locks a row for longer may be an interactive session: the item is left for a later run."""
Step = Callable[[], Awaitable[int]]


class Steps:
    """The steps of one worker's reconciler in a run."""

    def __init__(self, database: Database, bus: Bus, worker: str, settings: Settings) -> None:
        self._database = database.with_lock_timeout(LOCK_SECONDS)
        self._bus = bus
        self._worker = worker
        self._settings = settings
        self._one_by_one = OneByOne(database, worker)

    @property
    def by_name(self) -> Mapping[str, Step]:
        """Each step in order; it returns how many items it has handled."""
        return {
            "tasks_rescued": self._rescue_tasks,
            "callbacks_rescued": self._rescue_callbacks,
            "stages_closed": self._close_stages,
            "jobs_sent_for": self._requeue_stalled,
            "jobs_overdue": self._end_overdue_jobs,
            "tasks_overdue": self._end_overdue_tasks,
        }

    async def _rescue_tasks(self) -> int:
        async def together(tasks: Sequence[ClaimedTask]) -> int:
            return await rescue_tasks(self._database, self._bus, tasks, self._worker)

        tasks = [ClaimedTask(**row) for row in await self._found("reconciler/expired_tasks")]
        return await self._one_by_one.handle("rescue task", tasks, together, _task)

    async def _rescue_callbacks(self) -> int:
        async def together(callbacks: Sequence[ClaimedCallback]) -> int:
            return await rescue_callbacks(self._database, self._bus, callbacks, self._worker)

        callbacks = [ClaimedCallback(**row) for row in await self._found("reconciler/expired_callbacks")]
        return await self._one_by_one.handle("rescue callback", callbacks, together, _callback)

    async def _close_stages(self) -> int:
        async def close(row: Row) -> bool:
            return await close_counted_out(self._database, self._bus, row["job_id"], row["stage_id"])

        found = await self._found("reconciler/counted_out_stages")
        return await self._each("close stage", found, close, lambda row: Name(str(row["stage_id"]), row["job_id"]))

    async def _requeue_stalled(self) -> int:
        async def together(rows: Sequence[Row]) -> int:
            return await requeue_stalled(self._database, self._bus, [row["job_id"] for row in rows])

        return await self._one_by_one.handle("send for job", await self._found("reconciler/idle_jobs"), together, _job)

    async def _end_overdue_jobs(self) -> int:
        async def end(row: Row) -> bool:
            return await end_overdue_job(self._database, self._bus, row["job_id"])

        return await self._each("end overdue job", await self._found("reconciler/overdue_jobs"), end, _job)

    async def _end_overdue_tasks(self) -> int:
        async def together(tasks: Sequence[ClaimedTask]) -> int:
            return await end_overdue_tasks(self._database, self._bus, tasks, self._worker)

        limits = {"stop_grace": self._settings.stop_grace, "overrun": self._settings.overrun}
        tasks = [ClaimedTask(**row) for row in await self._found("reconciler/overdue_tasks", limits)]
        return await self._one_by_one.handle("end overdue task", tasks, together, _task)

    async def _found(self, query: str, more: Mapping[str, object] | None = None) -> list[Row]:
        async with self._database.session() as session:
            return await session.fetch(query, {"limit": AT_ONCE, **(more or {})})

    async def _each(
        self, step: str, rows: Sequence[Row], work: Callable[[Row], Awaitable[bool]], name: Callable[[Row], Name]
    ) -> int:
        """Handle rows that each need a separate transaction."""

        async def alone(rows: Sequence[Row]) -> int:
            return int(await work(rows[0]))

        return sum([await self._one_by_one.handle(step, [row], alone, name) for row in rows])


def _task(task: ClaimedTask) -> Name:
    return Name(task.key, task.job_id)


def _callback(callback: ClaimedCallback) -> Name:
    return Name(callback.key, callback.job_id)


def _job(row: Row) -> Name:
    return Name(row["job_id"], row["job_id"])

"""A job and its stages as the commands show them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ...statemachine.lifecycle import State
from ...statemachine.lifecycles import JOB, STAGE
from ..app import AsyncCoreMachine
from ..store.session import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One stage. `tasks_ended` counts completed, failed and cancelled tasks."""

    number: int
    name: str
    status: str
    tasks_total: int
    tasks_ended: int
    tasks_failed: int
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """From a row of load_stages."""
        return cls(
            number=row["stage"],
            name=row["name"],
            status=row["status"],
            tasks_total=row["tasks_total"],
            tasks_ended=row["tasks_completed"] + row["tasks_failed"] + row["tasks_cancelled"],
            tasks_failed=row["tasks_failed"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
        )

    @property
    def state(self) -> State:
        """The declared state that it is in."""
        return STAGE.by_name[self.status]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job. `error` and `result` are JSON values, None before there is one."""

    id: str
    status: str
    stage_count: int
    stages: tuple[StageView, ...]
    has_callback: bool
    result: Any
    error: dict[str, Any] | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """From the row that `AsyncCoreMachine.job` returns."""
        return cls(
            id=row["job_id"],
            status=row["status"],
            stage_count=row["stage_count"],
            stages=tuple(map(StageView.of, row["stages"])),
            has_callback=bool(row["definition"].get("on_job_complete")),
            result=row["result"],
            error=row["error"],
        )

    @property
    def state(self) -> State:
        """The declared state that it is in."""
        return JOB.by_name[self.status]

    @property
    def error_text(self) -> str | None:
        """The error's type and message in one line, None if the job has no error."""
        return f"{self.error.get('type')}: {self.error.get('message')}" if self.error else None


async def load_job(app: AsyncCoreMachine, job_id: str) -> JobView:
    """The job with this id, or with this unambiguous prefix of an id. Raises UnknownJobError."""
    return JobView.of(await app.job(job_id))

"""The data of the chart: for each stage the tasks to draw, their histories, and task counts over time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ....statemachine.lifecycles import TASK
from ...store.session import Session
from ..api.rows import JobStageRow
from .bars import TRANSITION_BY_EVENT, TaskHistory, needs_events, task_history
from .histogram import BUCKETS
from .query_cache import StageQueryCache
from .rows import ChartEventRow, ChartTaskRow, TaskCountRow
from .time_scale import TimeScale

MAX_DRAWN_TASKS = 40
PAGE_SIZE = 50
TASKS_PER_REASON = 6
RETRY_EVENTS = [transition.event.type for transition in TASK.transitions if transition.trigger in {"retry", "rescue"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartView:
    """What the chart shows: the time now, the zoom, and which big stage is expanded, from which task on."""

    now: datetime
    zoom: str | None = None
    open_stage: int | None = None
    first_row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTasks:
    """The tasks of a stage to draw, with their histories by task id. `counts` is empty for a small stage."""

    stage: JobStageRow
    tasks: Sequence[ChartTaskRow]
    histories: Mapping[str, TaskHistory]
    counts: Sequence[TaskCountRow]


@dataclass(frozen=True, slots=True)
class ChartReader:
    """Reads the stages of one chart."""

    session: Session
    cache: StageQueryCache
    scale: TimeScale
    view: ChartView

    async def read(self, stage: JobStageRow) -> StageTasks:
        """Read the tasks of a stage to draw."""
        counts = await self._counts(stage) if stage.tasks_total > MAX_DRAWN_TASKS else ()
        tasks = await self._tasks(stage)
        return StageTasks(stage=stage, tasks=tasks, histories=await self._histories(stage, tasks), counts=counts)

    async def _counts(self, stage: JobStageRow) -> Sequence[TaskCountRow]:
        parameters = {
            "stage_id": stage.stage_id,
            "first": self.scale.first.timestamp(),
            "last": self.scale.last.timestamp(),
            "slices": BUCKETS,
            "types": list(TRANSITION_BY_EVENT),
        }
        return await self.cache.fetch(self.session, "web/chart_density", TaskCountRow, stage, parameters)

    async def _tasks(self, stage: JobStageRow) -> Sequence[ChartTaskRow]:
        if stage.tasks_total == 0:
            return ()
        if stage.tasks_total <= MAX_DRAWN_TASKS:
            return await self._consecutive_tasks(stage, after=-1, limit=MAX_DRAWN_TASKS)
        if self.view.open_stage == stage.stage:
            return await self._consecutive_tasks(stage, after=self.view.first_row - 1, limit=PAGE_SIZE)
        parameters = {
            "stage_id": stage.stage_id,
            "job_id": stage.job_id,
            "again": RETRY_EVENTS,
            "most": TASKS_PER_REASON,
        }
        return await self.cache.fetch(self.session, "web/chart_picked", ChartTaskRow, stage, parameters)

    async def _consecutive_tasks(self, stage: JobStageRow, *, after: int, limit: int) -> Sequence[ChartTaskRow]:
        parameters = {"stage_id": stage.stage_id, "after": after, "limit": limit}
        return [ChartTaskRow.of({**row, "why": 0}) for row in await self.session.fetch("web/chart_rows", parameters)]

    async def _histories(self, stage: JobStageRow, tasks: Sequence[ChartTaskRow]) -> dict[str, TaskHistory]:
        """The history of each task. Events are read only for tasks whose row is not enough."""
        events: defaultdict[str, list[ChartEventRow]] = defaultdict(list)
        task_ids = [task.task_id for task in tasks if needs_events(task)]
        if task_ids:
            parameters = {"task_ids": task_ids}
            for event in await self.cache.fetch(self.session, "web/chart_events", ChartEventRow, stage, parameters):
                events[event.task_id].append(event)
        return {task.task_id: task_history(task, events[task.task_id]) for task in tasks}

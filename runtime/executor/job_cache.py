"""What a handler needs to know about its job: parameters and stages, read once per job and cached."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ...statemachine.task import Task
from ..flow.calls import Arguments
from ..store.database import Database
from ..store.rows import ClaimedTask, JobRow, StageRow
from .errors import ArgumentError

KEPT = 256


@dataclass(frozen=True)
class Plan:
    """How the tasks of one stage are run: by which handler, with which parameters, and with which time-out.

    `source` is the stage whose results it gathers or takes, None if it does neither.
    """

    handler: Task[..., Any]
    parameters: Mapping[str, Any]
    stage: StageRow
    source: StageRow | None

    @property
    def timeout(self) -> float | None:
        """Seconds that an attempt may take."""
        return self.stage.definition.timeout

    @property
    def fed(self) -> bool:
        """Whether the handler takes an input."""
        return self.stage.definition.kind != "single"

    @cached_property
    def arguments(self) -> Arguments:
        """The arguments that every task of the stage has in common. Raises ArgumentError."""
        try:
            return Arguments(self.handler.signature, self.parameters, fed=self.fed)
        except (ValidationError, KeyError) as error:
            raise ArgumentError(self.handler.name, str(error)) from error

    def given(self, value: object) -> dict[str, object]:
        """The arguments of one task, converted to the handler's annotations. Raises ArgumentError."""
        try:
            return self.arguments.of(value)
        except ValidationError as error:
            raise ArgumentError(self.handler.name, str(error)) from error

    def as_json(self, value: object) -> dict[str, object]:
        """The arguments of one task as JSON values, for a child that converts them itself."""
        first, named = self.handler.signature.split(fed=self.fed, where=self.handler.name)
        given = {} if first is None else {first.name: value}
        return given | {one.name: self.parameters[one.name] for one in named if one.name in self.parameters}


@dataclass(frozen=True, slots=True)
class CachedJob:
    """The parameters of a job and its stages by id: both are fixed when it is submitted."""

    parameters: Mapping[str, Any]
    stages: Mapping[int, StageRow]
    plans: dict[int, Plan] = field(default_factory=dict[int, Plan])

    def plan(self, task: ClaimedTask, handlers: Mapping[str, Task[..., Any]]) -> Plan:
        """How a task of this job is run."""
        plan = self.plans.get(task.stage_id)
        if plan is None:
            stage = self.stages[task.stage_id]
            source = self._source_of(stage) if stage.definition.kind in {"gather", "takes"} else None
            plan = self.plans[task.stage_id] = Plan(handlers[task.task_type], self.parameters, stage, source)
        return plan

    def _source_of(self, stage: StageRow) -> StageRow:
        name = stage.definition.source["stage"]
        return next(one for one in self.stages.values() if one.name == name)


class JobCache:
    """The facts about the jobs that this worker has handled recently."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[str, CachedJob] = OrderedDict()

    def known(self, job_id: str) -> CachedJob | None:
        """The facts about a job, if they are cached."""
        return self._kept.get(job_id)

    async def of(self, job_id: str) -> CachedJob:
        """The facts about a job, read if they are not cached."""
        known = self._kept.get(job_id)
        if known is None:
            async with self._database.session() as session:
                (row,) = await session.fetch("flow/load_job", {"job_id": job_id})
                stages = [StageRow.of(row) for row in await session.fetch("flow/load_stages", {"job_id": job_id})]
            known = self.keep(JobRow.of(row), stages)
        return known

    def keep(self, job: JobRow, stages: Sequence[StageRow]) -> CachedJob:
        """Cache the facts about a job that was read for another reason: its row, and its stages."""
        known = self._kept.get(job.job_id)
        if known is None:
            known = CachedJob(job.parameters, {stage.stage_id: stage for stage in stages})
            self._kept[job.job_id] = known
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known

"""What a handler needs to know of its job: parameters and stages, read once a job and kept for a while."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..store.database import Database
from ..store.rows import ClaimedTask, StageRow

KEPT = 256


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The parameters of a job and its stages by id: both are fixed when it is submitted."""

    parameters: Mapping[str, Any]
    stages: Mapping[int, StageRow]

    def source_of(self, stage: StageRow) -> StageRow:
        """The stage that a gathering or taking stage names."""
        name = stage.definition["source"]["stage"]
        return next(one for one in self.stages.values() if one.name == name)


class Facts:
    """The facts of the jobs that this worker has met lately."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[str, JobFacts] = OrderedDict()

    async def of(self, task: ClaimedTask) -> JobFacts:
        """The facts of the task's job."""
        known = self._kept.get(task.job_id)
        if known is None:
            known = await self._read(task.job_id)
            self._kept[task.job_id] = known
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known

    async def _read(self, job_id: str) -> JobFacts:
        async with self._database.session() as session:
            (job,) = await session.fetch("load_job", {"job_id": job_id})
            stages = [StageRow.of(row) for row in await session.fetch("load_stages", {"job_id": job_id})]
        return JobFacts(job["parameters"], {stage.stage_id: stage for stage in stages})

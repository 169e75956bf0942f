"""One transaction of the model: rows that are changed together, each status along a declared edge."""

from tests.model.state import COUNTED, JobRow, StageRow, State, TaskRow, Worker, World, still_open


class ViolationError(Exception):
    """Something happened that must not: `kind` in a word or two, `what` in full."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class RefusedError(ViolationError):
    """The database's CHECKs refuse a transaction. That is wrong of the flow, unless the transaction is a batch."""

    def __init__(self, what: str) -> None:
        super().__init__("refused", what)


class Draft:
    """A state in the making. A transaction that raises leaves nothing behind: the draft is thrown away.

    While it lasts, counters are what the flow says of them, and the flow decides by that. At the commit the database
    puts in what its trigger has counted in the rows of the tasks, and refuses what its CHECKs forbid.
    """

    def __init__(self, world: World, state: State) -> None:
        self.world = world
        self.before = state
        self.job: JobRow = state.job
        self.stages: list[StageRow] = list(state.stages)
        self.tasks: list[tuple[TaskRow, ...]] = list(state.tasks)
        self.workers: list[Worker | None] = list(state.workers)
        self.callback: TaskRow | None = state.callback
        self.cancels = state.cancels
        self.resumes = state.resumes
        self.noticed = state.noticed

    def done(self) -> State:
        """The state after the commit. Raises RefusedError where the database does not let it happen."""
        before = self.before
        for number, stage in enumerate(self.stages):
            if stage is not before.stages[number] or self.tasks[number] is not before.tasks[number]:
                self._count(number)
                self._check_stage(number)
        if self.job is not self.before.job:
            self._check_job()
        return State(
            self.job,
            tuple(self.stages),
            tuple(self.tasks),
            tuple(self.workers),
            self.callback,
            self.cancels,
            self.resumes,
            self.noticed,
        )

    def _count(self, number: int) -> None:
        if self.world.keeps("counted by trigger"):
            real = [row.status for row in self.tasks[number]]
            counted = [len(real), *(real.count(name) for name in COUNTED)]
            stage = self.stages[number]
            if counted != [stage.total, stage.completed, stage.failed, stage.cancelled]:
                total, completed, failed, cancelled = counted
                self.stages[number] = stage._replace(
                    total=total, completed=completed, failed=failed, cancelled=cancelled
                )

    def _check_stage(self, number: int) -> None:
        """That counters add up, and that only a processing stage has open tasks, so that no other stage gets a task."""
        stage = self.stages[number]
        left = still_open(stage)
        if left < 0:
            raise RefusedError(f"{stage} counts more tasks than it has")
        if left and stage.status != "processing":
            raise RefusedError(f"{stage} has {left} open tasks")

    def _check_job(self) -> None:
        """That a job which has ended has no stage that has not."""
        if self.job.status not in self.world.ends["job"] or not self.world.keeps("counted by trigger"):
            return
        for number, stage in enumerate(self.stages):
            if stage.status not in self.world.ends["stage"]:
                raise RefusedError(f"the job is {self.job.status}, stage {number} {stage.status}")

    def fired(self, machine: str, status: str, trigger: str) -> str:
        """The state that `trigger` leads to. The flow never fires what the declaration does not have."""
        target = self.world.declared[machine].get((status, trigger))
        if target is None:
            raise ViolationError("refused move", f"{machine}.{trigger} does not leave {status}")
        return target

    def move_job(self, trigger: str) -> None:
        """Move the job. A job that has ended has no message."""
        status = self.fired("job", self.job.status, trigger)
        self.job = self.job._replace(status=status)
        if status in self.world.ends["job"]:
            self.post(None)
            self.job = self.job._replace(deadline=None)

    def post(self, message: str | None) -> None:
        """Set the job's message. Who held the one before holds it no more."""
        self.job = self.job._replace(message=message)
        self.free("message")

    def free(self, kind: str, stage: int = -1, task: int = -1) -> None:
        """The worker that is busy with this has lost it, and all that it does from now on comes too late."""
        for at, one in enumerate(self.workers):
            if one and (one.kind, one.stage, one.task) == (kind, stage, task):
                self.workers[at] = None

    def move_stage(self, number: int, trigger: str) -> None:
        """Move a stage; opening and closing are counted."""
        before = self.stages[number]
        status = self.fired("stage", before.status, trigger)
        if trigger == "complete" and before.stop:
            raise ViolationError("went on", f"a stage that was asked to stop for {before.stop} completed")
        openings = before.openings + (trigger == "open") - (trigger in {"complete", "fail", "cancel"})
        ended = status in self.world.ends["stage"]
        stop, waited = (None, False) if ended else (before.stop, before.waited)
        self.stages[number] = before._replace(status=status, openings=openings, stop=stop, waited=waited)

    def move_stages(self, source: str, trigger: str) -> None:
        """Move every stage that is in `source`."""
        for number, stage in enumerate(self.stages):
            if stage.status == source:
                self.move_stage(number, trigger)

    def task(self, stage: int, index: int) -> TaskRow:
        """A task as it stands."""
        return self.tasks[stage][index]

    def put_task(self, stage: int, index: int, row: TaskRow) -> None:
        """A task as it will stand."""
        if row.status != "processing":
            self.free("task", stage, index)
        rows = self.tasks[stage]
        self.tasks[stage] = (*rows[:index], row, *rows[index + 1 :])

    def move_tasks(self, stage: int, source: str, trigger: str, more: int = 0) -> int:
        """Move each task of a stage in `source`; with `more` attempts it begins again. Returns how many moved."""
        moved = 0
        for index, row in enumerate(self.tasks[stage]):
            if row.status == source:
                status = self.fired("task", row.status, trigger)
                kept = (row.attempt, row.max_attempts, row.rescues)
                again = (row.attempt + 1, row.max_attempts + more, 0)
                self.put_task(stage, index, TaskRow(status, *(again if more else kept)))
                moved += 1
        return moved

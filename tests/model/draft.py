"""One transaction of the model: rows that are changed together, each status along a declared edge."""

from tests.model.state import JobRow, StageRow, State, TaskRow, Worker, World


class ViolationError(Exception):
    """Something happened that must not: `kind` in a word or two, `what` in full."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class Draft:
    """A state in the making. A transaction that raises leaves nothing behind: the draft is thrown away."""

    def __init__(self, world: World, state: State) -> None:
        self.world = world
        self.job: JobRow = state.job
        self.stages: list[StageRow] = list(state.stages)
        self.tasks: list[tuple[TaskRow, ...]] = list(state.tasks)
        self.workers: list[Worker | None] = list(state.workers)
        self.callback: TaskRow | None = state.callback
        self.cancels = state.cancels
        self.resumes = state.resumes
        self.noticed = state.noticed

    def done(self) -> State:
        """The state after the commit."""
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

    def post(self, message: str | None) -> None:
        """Set the job's message. Who held the one before holds it no more."""
        self.job = self.job._replace(message=message)
        self.free("message")

    def free(self, kind: str, stage: int = -1, task: int = -1) -> None:
        """Whoever is busy with this has lost it, and what it does from here on comes too late."""
        for at, one in enumerate(self.workers):
            if one and (one.kind, one.stage, one.task) == (kind, stage, task):
                self.workers[at] = None

    def move_stage(self, number: int, trigger: str) -> None:
        """Move a stage; opening and closing are counted."""
        before = self.stages[number]
        status = self.fired("stage", before.status, trigger)
        openings = before.openings + (trigger == "open") - (trigger in {"complete", "fail", "cancel"})
        stop = before.stop if status not in self.world.ends["stage"] else None
        self.stages[number] = before._replace(status=status, openings=openings, stop=stop)

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
        """Move every task of a stage that is in `source`; `more` attempts are allowed then. Returns how many moved."""
        moved = 0
        for index, row in enumerate(self.tasks[stage]):
            if row.status == source:
                status = self.fired("task", row.status, trigger)
                attempts = (row.attempt + 1, row.max_attempts + more) if more else (row.attempt, row.max_attempts)
                self.put_task(stage, index, TaskRow(status, *attempts, row.rescues))
                moved += 1
        return moved

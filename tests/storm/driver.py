"""The driver: keeps jobs open, checks each as it ends and again once it has settled, and retires it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from coremachine import AsyncCoreMachine, Job
from coremachine.runtime.app.audit import Finding
from coremachine.runtime.soak.chaos import CONNECTION_ERRORS
from coremachine.runtime.soak.housekeeping import ANYTIME_CHECKS, audit_findings, draw_job, retire_jobs, violations
from coremachine.statemachine.lifecycles import JOB
from tests.storm.check import check_job, stuck
from tests.storm.figures import StormFigures
from tests.storm.jobs import JOBS, parameters_of
from tests.storm.options import Options
from tests.storm.snapshot import read_snapshot


@dataclass(slots=True)
class StormJob:
    """A job that has not been retired yet. `since` is of the monotonic clock."""

    job: Job
    parameters: dict[str, Any]
    file: Path
    since: float
    submitted: bool = False
    open: bool = True
    stuck: bool = False
    problems: set[str] = field(default_factory=set[str])


class Driver:
    """Takes one step after another. It connects directly, not through the proxy; a step may find the server down."""

    def __init__(
        self, app: AsyncCoreMachine, folder: Path, figures: StormFigures, options: Options, random: Random
    ) -> None:
        self._app = app
        self._folder = folder
        self._figures = figures
        self._options = options
        self._random = random
        self._began = time.monotonic()
        self._settled: dict[str, Path] = {}
        self._reported: set[tuple[str | None, str]] = set()
        self.jobs: dict[str, StormJob] = {}

    @property
    def open_for(self) -> dict[str, float]:
        """For how long each open job has been open, in seconds."""
        now = time.monotonic()
        return {job_id: now - one.since for job_id, one in self.jobs.items() if one.open}

    async def step(self, wanted: int) -> None:
        """Fill up to `wanted` open jobs, then read the state of each job."""
        while len(self.open_for) < wanted:
            self._draw_job()
        try:
            await self._submit_all()
            await self._check_all()
        except CONNECTION_ERRORS:
            return

    async def retire(self) -> None:
        """Run the checks that hold at any time, then retire the jobs that have settled."""
        try:
            await self.report(await self.findings(ANYTIME_CHECKS))
            retired = await retire_jobs(self._app, "storm", self.jobs)
        except CONNECTION_ERRORS:
            return
        self._figures.retired += retired
        for file in self._settled.values():
            file.unlink(missing_ok=True)
        self._settled.clear()

    async def findings(self, only: Iterable[str] = ()) -> list[Finding]:
        """The findings of the audit, without informational ones."""
        return await audit_findings(self._app, self._figures, only)

    async def report(self, findings: Iterable[Finding]) -> None:
        """Report each finding of the audit as a violation, once."""
        for what, job_id in violations(findings):
            if (job_id, what) not in self._reported:
                self._reported.add((job_id, what))
                self.add_violation(what, job_id, await self._timeline(job_id))

    def add_violation(self, what: str, job_id: str | None = None, log: tuple[str, ...] = ()) -> None:
        """Add a violation, with the time since the storm began."""
        self._figures.add_violation(f"after {time.monotonic() - self._began:.0f} s: {what}", job_id, log)

    async def _timeline(self, job_id: str | None) -> tuple[str, ...]:
        if job_id is None or job_id not in self.jobs:
            return ()
        return (await read_snapshot(self._app.database, job_id, self.jobs[job_id].file)).timeline()

    def _draw_job(self) -> None:
        job = self._random.choice(JOBS)
        drawn = draw_job(job, self._random, self._folder, parameters_of)
        self.jobs[drawn.job_id] = StormJob(job, drawn.parameters, drawn.file, time.monotonic())

    async def _submit_all(self) -> None:
        for one in self.jobs.values():
            if not one.submitted:
                await self._app.submit(one.job, **one.parameters)
                one.submitted = True
                self._figures.submitted += 1

    async def _check_all(self) -> None:
        async with self._app.database.session() as session:
            rows = await session.fetch("soak/job_states", {"job_ids": list(self.jobs)})
        states = {row["job_id"]: row for row in rows}
        for job_id in self.jobs.keys() - states.keys():
            self.add_violation("the job was submitted, but does not exist", job_id)
            del self.jobs[job_id]
        for job_id, row in states.items():
            if JOB.by_name[row["status"]].terminal:
                await self._check_when_due(job_id, self.jobs[job_id], row["settled"])
        for job_id in stuck(self.open_for, self._options.limit):
            await self._report_stuck(job_id)

    async def _check_when_due(self, job_id: str, one: StormJob, settled: float | None) -> None:
        """Check the job at its end, and once more when no stopped worker can still be working on it."""
        quiet = settled is not None and settled > self._options.quiet
        if one.open or quiet:
            snapshot = await read_snapshot(self._app.database, job_id, one.file)
            for problem in check_job(snapshot):
                if problem not in one.problems:
                    one.problems.add(problem)
                    self.add_violation(f"{one.job.name}: {problem}", job_id, snapshot.timeline())
            if one.open:
                self._figures.measure("a job was open", time.monotonic() - one.since)
            one.open = False
            if quiet:
                self._figures.add_settled_job(snapshot)
                self._settled[job_id] = one.file
                del self.jobs[job_id]

    async def _report_stuck(self, job_id: str) -> None:
        one = self.jobs[job_id]
        if one.stuck:
            return
        why = await self._app.why(job_id)
        snapshot = await read_snapshot(self._app.database, job_id, one.file)
        what = f"{one.job.name}: stuck, open for more than {self._options.limit:g} s: {why.status}, {why.verdict}"
        one.stuck = True
        self.add_violation(what, job_id, (*map(str, why.waits_for), *snapshot.timeline()))

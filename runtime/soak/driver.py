"""The driver: keeps jobs open, cancels and resumes some, checks each that has ended, and retires the checked ones."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ...statemachine.errors import IllegalMoveError
from ...statemachine.job import Job
from ...statemachine.lifecycles import JOB
from ..app import AsyncCoreMachine
from ..app.audit import Finding
from .chaos import CONNECTION_ERRORS
from .check import check_job, log_of
from .figures import Figures
from .housekeeping import ANYTIME_CHECKS, audit_findings, draw_job, retire_jobs, violations
from .jobs import CHILDREN, FAN, SIBLINGS, SLOW, WAVES, parameters_of
from .snapshot import Requests, read_snapshot

WEIGHTS = {FAN: 4, SIBLINGS: 2, CHILDREN: 1, WAVES: 3, SLOW: 2}
CANCELLED_SHARE = 0.08
CANCEL_WITHIN_SECONDS = 3.0
RESUMED_SHARE = 0.6
MOST_RESUMES = 2


@dataclass(slots=True)
class SoakJob:
    """A job that has not been checked yet. Times are of the monotonic clock."""

    job: Job
    parameters: dict[str, Any]
    file: Path
    since: float
    cancel_at: float | None
    submitted: bool = False
    open: bool = True
    resumes_left: int = 0
    requests: Requests = field(default_factory=Requests)


class Driver:
    """Takes one step after another. A step that cannot reach the database does nothing, and the next one continues."""

    def __init__(self, app: AsyncCoreMachine, folder: Path, figures: Figures, random: Random, quiet: float) -> None:
        self._app = app
        self._folder = folder
        self._figures = figures
        self._random = random
        self.quiet = quiet
        self.jobs: dict[str, SoakJob] = {}
        self._checked: dict[str, Path] = {}

    @property
    def oldest(self) -> float:
        """Seconds since the oldest open job was submitted."""
        return max((time.monotonic() - one.since for one in self.jobs.values() if one.open), default=0.0)

    @property
    def open_jobs(self) -> int:
        """Number of jobs that have not ended."""
        return sum(one.open for one in self.jobs.values())

    async def step(self, wanted: int) -> None:
        """Fill up to `wanted` open jobs, then read the state of each job and do what is next."""
        while self.open_jobs < wanted:
            self._draw_job()
        try:
            for job_id, one in self.jobs.items():
                if not one.submitted:
                    await self._submit(job_id, one)
            states = await self.states()
            for job_id, (status, settled) in states.items():
                await self._advance(job_id, self.jobs[job_id], status, settled)
        except CONNECTION_ERRORS:
            return

    async def retire(self) -> None:
        """Run the checks that hold at any time, then retire the jobs that were checked, and their files."""
        try:
            self.report(await self.findings(ANYTIME_CHECKS))
            self._figures.retired += await retire_jobs(self._app, "soak", self.jobs)
            left = await self._existing(self._checked)
        except CONNECTION_ERRORS:
            return
        for job_id in self._checked.keys() - left:
            self._checked.pop(job_id).unlink(missing_ok=True)

    async def findings(self, only: Iterable[str] = ()) -> list[Finding]:
        """The findings of the audit, without informational ones."""
        return await audit_findings(self._app, self._figures, only)

    def report(self, findings: Iterable[Finding]) -> None:
        """Report each finding of the audit as a violation."""
        for what, job_id in violations(findings):
            self._figures.add_violation(what, job_id)

    def _draw_job(self) -> None:
        job = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        drawn = draw_job(job, self._random, self._folder, parameters_of)
        cancelled = self._random.random() < CANCELLED_SHARE
        now = time.monotonic()
        cancel_at = now + self._random.random() * CANCEL_WITHIN_SECONDS if cancelled else None
        resumes = MOST_RESUMES if self._random.random() < RESUMED_SHARE else 0
        self.jobs[drawn.job_id] = SoakJob(job, drawn.parameters, drawn.file, now, cancel_at, resumes_left=resumes)

    async def _submit(self, job_id: str, one: SoakJob) -> None:
        submission = await self._app.submit(one.job, **one.parameters)
        one.submitted = True
        self._figures.submitted += 1
        if submission.id != job_id:
            self._figures.add_violation(f"job {job_id} was submitted as {submission.id}")

    async def states(self) -> dict[str, tuple[str, float | None]]:
        """For each unchecked job its status, and for how many seconds it and its callbacks have been settled."""
        async with self._app.database.session() as session:
            rows = await session.fetch("soak/job_states", {"job_ids": list(self.jobs)})
        states = {row["job_id"]: (row["status"], row["settled"]) for row in rows}
        for job_id in [known for known, one in self.jobs.items() if one.submitted and known not in states]:
            self._figures.add_violation("the job was submitted, but does not exist", job_id)
            del self.jobs[job_id]
        return states

    async def _existing(self, job_ids: Iterable[str]) -> set[str]:
        async with self._app.database.session() as session:
            rows = await session.fetch("relay/existing_jobs", {"job_ids": list(job_ids)})
        return {row["job_id"] for row in rows}

    async def _advance(self, job_id: str, one: SoakJob, status: str, settled: float | None) -> None:
        state = JOB.by_name[status]
        one.open = not state.terminal
        if not state.terminal:
            if one.cancel_at is not None and time.monotonic() >= one.cancel_at:
                await self._cancel(job_id, one)
        elif state.failure and one.resumes_left:
            await self._resume(job_id, one)
        elif settled is not None and settled > self.quiet:
            await self._check(job_id, one)

    async def _cancel(self, job_id: str, one: SoakJob) -> None:
        one.requests.cancels += 1
        with suppress(IllegalMoveError):  # it has ended meanwhile
            await self._app.cancel(job_id, "cancelled by the soak")
        one.cancel_at = None

    async def _resume(self, job_id: str, one: SoakJob) -> None:
        one.requests.resumes += 1
        one.resumes_left -= 1
        one.open = True
        with suppress(IllegalMoveError):  # an earlier request succeeded, but its response was lost
            await self._app.resume(job_id)

    async def _check(self, job_id: str, one: SoakJob) -> None:
        snapshot = await read_snapshot(self._app.database, job_id, one.file, one.requests)
        for problem in check_job(snapshot):
            self._figures.add_violation(f"{one.job.name}: {problem}", job_id, tuple(log_of(snapshot)))
        self._figures.add_job(snapshot)
        del self.jobs[job_id]
        self._checked[job_id] = one.file

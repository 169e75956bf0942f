"""The driver: keeps jobs open, cancels and resumes some, judges each that has ended, and lets the judged ones go."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ...statemachine.errors import IllegalMoveError
from ...statemachine.identity import job_id_of
from ...statemachine.job import Job
from ...statemachine.lifecycles import JOB
from ..app import AsyncCoreMachine
from ..app.audit import Finding
from ..store.session import Session
from .chaos import LOST
from .evidence import Deeds, read_evidence
from .figures import Figures
from .jobs import CHILDREN, FAN, SIBLINGS, SLOW, WAVES, parameters_of
from .judge import judge, log_of

WEIGHTS = {FAN: 4, SIBLINGS: 2, CHILDREN: 1, WAVES: 3, SLOW: 2}
CANCELLED_SHARE = 0.08
CANCEL_WITHIN = 3.0
RESUMED_SHARE = 0.6
MOST_RESUMES = 2
AT_ANY_TIME = ("GAP-9", "GAP-10", "GAP-11", "GAP-12", "GAP-17", "GAP-18", "GAP-19")
"""What no snapshot may ever show, in the midst of all kills either. The rest of the audit is for the end."""
LARGEST_SEED = 2**31


@dataclass(slots=True)
class Submitted:
    """A job that has not been judged yet. Times are of the monotonic clock."""

    job: Job
    parameters: dict[str, Any]
    file: Path
    since: float
    cancel_at: float | None
    sent: bool = False
    open: bool = True
    resumes_left: int = 0
    deeds: Deeds = field(default_factory=Deeds)


class Driver:
    """Looks again and again. A look may find the database gone: then nothing is lost but time."""

    def __init__(self, app: AsyncCoreMachine, folder: Path, figures: Figures, random: Random, quiet: float) -> None:
        self._app = app
        self._folder = folder
        self._figures = figures
        self._random = random
        self.quiet = quiet
        self.jobs: dict[str, Submitted] = {}
        self._judged: dict[str, Path] = {}

    @property
    def oldest(self) -> float:
        """Seconds since the oldest open job was submitted."""
        return max((time.monotonic() - one.since for one in self.jobs.values() if one.open), default=0.0)

    @property
    def open_jobs(self) -> int:
        """Jobs that have not ended."""
        return sum(one.open for one in self.jobs.values())

    async def look(self, wanted: int) -> None:
        """Fill up to `wanted` open jobs, then see how each stands and do what is next."""
        while self.open_jobs < wanted:
            self._think_of_one()
        try:
            for job_id, one in self.jobs.items():
                if not one.sent:
                    await self._send(job_id, one)
            states = await self.states()
            for job_id, (status, settled) in states.items():
                await self._see_to(job_id, self.jobs[job_id], status, settled)
        except LOST:
            return

    async def let_go(self) -> None:
        """Check what must hold at any time, then retire the jobs that were judged, and their files."""
        try:
            self.found(await self.findings(AT_ANY_TIME))
            async with await self._app.database.connection("soak") as owner:
                (row,) = await Session(owner, self._app.database.schema).fetch(
                    "soak/retire_judged", {"kept": list(self.jobs)}
                )
            self._figures.retired += row["retired"]
            left = await self._there(self._judged)
        except LOST:
            return
        for job_id in self._judged.keys() - left:
            self._judged.pop(job_id).unlink(missing_ok=True)

    async def findings(self, only: Iterable[str] = ()) -> list[Finding]:
        """What the audit finds, findings that are no trouble left out."""
        self._figures.audits += 1
        audit = await self._app.audit(list(only))
        return [finding for finding in audit.findings if finding.severity != "info"]

    def found(self, findings: Iterable[Finding]) -> None:
        """Each finding of the audit is a violation."""
        for finding in findings:
            for example in finding.examples:
                what = f"audit: {finding.id} {finding.gap}: {example.subject}: {example.detail}"
                self._figures.violate(what, example.job_id)

    def _think_of_one(self) -> None:
        job = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        seed = self._random.randrange(LARGEST_SEED)
        file = self._folder / f"{seed:08x}.lines"
        parameters = job.check_parameters(parameters_of(job, seed, str(file)))
        cancelled = self._random.random() < CANCELLED_SHARE
        now = time.monotonic()
        cancel_at = now + self._random.random() * CANCEL_WITHIN if cancelled else None
        resumes = MOST_RESUMES if self._random.random() < RESUMED_SHARE else 0
        # known before it is sent: when the connection is lost, nobody can say whether it was
        job_id = job_id_of(job.name, parameters)
        self.jobs[job_id] = Submitted(job, parameters, file, now, cancel_at, resumes_left=resumes)

    async def _send(self, job_id: str, one: Submitted) -> None:
        submission = await self._app.submit(one.job, **one.parameters)
        one.sent = True
        self._figures.submitted += 1
        if submission.id != job_id:
            self._figures.violate(f"job {job_id} was submitted as {submission.id}")

    async def states(self) -> dict[str, tuple[str, float | None]]:
        """Status of each job that is not judged, and for how many seconds it has been settled, callbacks and all."""
        async with self._app.database.session() as session:
            rows = await session.fetch("soak/job_states", {"job_ids": list(self.jobs)})
        states = {row["job_id"]: (row["status"], row["settled"]) for row in rows}
        for job_id in [known for known, one in self.jobs.items() if one.sent and known not in states]:
            self._figures.violate("the job was submitted, and is not there", job_id)
            del self.jobs[job_id]
        return states

    async def _there(self, job_ids: Iterable[str]) -> set[str]:
        async with self._app.database.session() as session:
            rows = await session.fetch("relay/existing_jobs", {"job_ids": list(job_ids)})
        return {row["job_id"] for row in rows}

    async def _see_to(self, job_id: str, one: Submitted, status: str, settled: float | None) -> None:
        state = JOB.by_name[status]
        one.open = not state.terminal
        if not state.terminal:
            if one.cancel_at is not None and time.monotonic() >= one.cancel_at:
                await self._cancel(job_id, one)
        elif state.failure and one.resumes_left:
            await self._resume(job_id, one)
        elif settled is not None and settled > self.quiet:
            await self._judge(job_id, one)

    async def _cancel(self, job_id: str, one: Submitted) -> None:
        one.deeds.cancels += 1
        with suppress(IllegalMoveError):  # it has ended meanwhile
            await self._app.cancel(job_id, "the soak wants it so")
        one.cancel_at = None

    async def _resume(self, job_id: str, one: Submitted) -> None:
        one.deeds.resumes += 1
        one.resumes_left -= 1
        one.open = True
        with suppress(IllegalMoveError):  # asked before, and the answer was lost
            await self._app.resume(job_id)

    async def _judge(self, job_id: str, one: Submitted) -> None:
        evidence = await read_evidence(self._app.database, job_id, one.file, one.deeds)
        for problem in judge(evidence):
            self._figures.violate(f"{one.job.name}: {problem}", job_id, tuple(log_of(evidence)))
        self._figures.add(evidence)
        del self.jobs[job_id]
        self._judged[job_id] = one.file

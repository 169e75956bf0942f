"""The driver: keeps jobs open, judges each as it ends and again once it is quiet, and lets it go."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from coremachine import AsyncCoreMachine, Job
from coremachine.runtime.app.audit import Finding
from coremachine.runtime.soak.chaos import LOST
from coremachine.runtime.soak.driver import AT_ANY_TIME, LARGEST_SEED
from coremachine.runtime.store.session import Session
from coremachine.statemachine.identity import job_id_of
from coremachine.statemachine.lifecycles import JOB
from tests.storm.evidence import read_evidence
from tests.storm.figures import StormFigures
from tests.storm.jobs import JOBS, parameters_of
from tests.storm.judge import judge, stuck
from tests.storm.options import Options


@dataclass(slots=True)
class Submitted:
    """A job that is not yet let go. `since` is of the monotonic clock."""

    job: Job
    parameters: dict[str, Any]
    file: Path
    since: float
    sent: bool = False
    open: bool = True
    stuck: bool = False
    found: set[str] = field(default_factory=set[str])


class Driver:
    """Looks again and again. It speaks to the server itself, not through the proxy; a look may find the server gone."""

    def __init__(
        self, app: AsyncCoreMachine, folder: Path, figures: StormFigures, options: Options, random: Random
    ) -> None:
        self._app = app
        self._folder = folder
        self._figures = figures
        self._options = options
        self._random = random
        self._began = time.monotonic()
        self._quiet: dict[str, Path] = {}
        self._found: set[tuple[str | None, str]] = set()
        self.jobs: dict[str, Submitted] = {}

    @property
    def open_for(self) -> dict[str, float]:
        """For how long each open job has been open, in seconds."""
        now = time.monotonic()
        return {job_id: now - one.since for job_id, one in self.jobs.items() if one.open}

    async def look(self, wanted: int) -> None:
        """Fill up to `wanted` open jobs, then see how each stands."""
        while len(self.open_for) < wanted:
            self._think_of_one()
        try:
            await self._send_all()
            await self._see_to_all()
        except LOST:
            return

    async def let_go(self) -> None:
        """Check what must hold at any time, then retire the jobs that are quiet."""
        try:
            await self.found(await self.findings(AT_ANY_TIME))
            async with await self._app.database.connection("storm") as owner:
                session = Session(owner, self._app.database.schema)
                (row,) = await session.fetch("soak/retire_judged", {"kept": list(self.jobs)})
        except LOST:
            return
        self._figures.retired += row["retired"]
        for file in self._quiet.values():
            file.unlink(missing_ok=True)
        self._quiet.clear()

    async def findings(self, only: Iterable[str] = ()) -> list[Finding]:
        """What the audit finds, findings that are no trouble left out."""
        self._figures.audits += 1
        audit = await self._app.audit(list(only))
        return [finding for finding in audit.findings if finding.severity != "info"]

    async def found(self, findings: Iterable[Finding]) -> None:
        """Each finding of the audit is a violation, once."""
        for finding in findings:
            for example in finding.examples:
                what = f"audit: {finding.id} {finding.gap}: {example.subject}: {example.detail}"
                if (example.job_id, what) not in self._found:
                    self._found.add((example.job_id, what))
                    self.violate(what, example.job_id, await self._timeline(example.job_id))

    def violate(self, what: str, job_id: str | None = None, log: tuple[str, ...] = ()) -> None:
        """Add a violation, with the time since the storm began."""
        self._figures.violate(f"after {time.monotonic() - self._began:.0f} s: {what}", job_id, log)

    async def _timeline(self, job_id: str | None) -> tuple[str, ...]:
        if job_id is None or job_id not in self.jobs:
            return ()
        return (await read_evidence(self._app.database, job_id, self.jobs[job_id].file)).timeline()

    def _think_of_one(self) -> None:
        job = self._random.choice(JOBS)
        seed = self._random.randrange(LARGEST_SEED)
        file = self._folder / f"{seed:08x}.lines"
        parameters = job.check_parameters(parameters_of(job, seed, str(file)))
        # known before it is sent: when the connection is lost, nobody can say whether it was
        job_id = job_id_of(job.name, parameters)
        self.jobs[job_id] = Submitted(job, parameters, file, time.monotonic())

    async def _send_all(self) -> None:
        for one in self.jobs.values():
            if not one.sent:
                await self._app.submit(one.job, **one.parameters)
                one.sent = True
                self._figures.submitted += 1

    async def _see_to_all(self) -> None:
        async with self._app.database.session() as session:
            rows = await session.fetch("soak/job_states", {"job_ids": list(self.jobs)})
        states = {row["job_id"]: row for row in rows}
        for job_id in self.jobs.keys() - states.keys():
            self.violate("the job was submitted, and is not there", job_id)
            del self.jobs[job_id]
        for job_id, row in states.items():
            one = self.jobs[job_id]
            if JOB.by_name[row["status"]].terminal:
                await self._judge_when_due(job_id, one, row["settled"])
        for job_id in stuck(self.open_for, self._options.limit):
            await self._name_stuck(job_id)

    async def _judge_when_due(self, job_id: str, one: Submitted, settled: float | None) -> None:
        """At its end, and once more when no stopped worker can be at work on it any longer."""
        quiet = settled is not None and settled > self._options.quiet
        if one.open or quiet:
            evidence = await read_evidence(self._app.database, job_id, one.file)
            for problem in judge(evidence):
                if problem not in one.found:
                    one.found.add(problem)
                    self.violate(f"{one.job.name}: {problem}", job_id, evidence.timeline())
            if one.open:
                self._figures.measure("a job was open", time.monotonic() - one.since)
            one.open = False
            if quiet:
                self._figures.count(evidence)
                self._quiet[job_id] = one.file
                del self.jobs[job_id]

    async def _name_stuck(self, job_id: str) -> None:
        one = self.jobs[job_id]
        if one.stuck:
            return
        why = await self._app.why(job_id)
        evidence = await read_evidence(self._app.database, job_id, one.file)
        what = f"{one.job.name}: stuck, open for more than {self._options.limit:g} s: {why.status}, {why.verdict}"
        one.stuck = True
        self.violate(what, job_id, (*map(str, why.waits_for), *evidence.timeline()))

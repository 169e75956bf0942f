"""What the drivers of the soak and of the storm share: new jobs, the audit, and the retirement of checked jobs."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ...statemachine.identity import job_id_of
from ...statemachine.job import Job
from ..app import AsyncCoreMachine
from ..app.audit import Finding
from ..store.session import Session
from .figures import Figures

ANYTIME_CHECKS = ("GAP-9", "GAP-10", "GAP-11", "GAP-12", "GAP-17", "GAP-18", "GAP-19")
"""Checks that hold in any snapshot, even between kills. The rest of the audit runs at the end."""
LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class DrawnJob:
    """A job to submit. `file` receives the lines of its handlers."""

    job_id: str
    parameters: dict[str, Any]
    file: Path


def draw_job(
    job: Job, random: Random, folder: Path, parameters_of: Callable[[Job, int, str], dict[str, object]]
) -> DrawnJob:
    """Draw a seed for `job`.

    The id is known before the submission: if the connection is lost, only the id shows whether it succeeded.
    """
    seed = random.randrange(LARGEST_SEED)
    file = folder / f"{seed:08x}.lines"
    parameters = job.check_parameters(parameters_of(job, seed, str(file)))
    return DrawnJob(job_id_of(job.name, parameters), parameters, file)


async def audit_findings(app: AsyncCoreMachine, figures: Figures, only: Iterable[str] = ()) -> list[Finding]:
    """The findings of the audit, without informational ones."""
    figures.audits += 1
    audit = await app.audit(list(only))
    return [finding for finding in audit.findings if finding.severity != "info"]


def violations(findings: Iterable[Finding]) -> Iterator[tuple[str, str | None]]:
    """For each example of each finding, a description and the id of its job."""
    for finding in findings:
        for example in finding.examples:
            yield f"audit: {finding.id} {finding.gap}: {example.subject}: {example.detail}", example.job_id


async def retire_jobs(app: AsyncCoreMachine, login: str, kept: Collection[str]) -> int:
    """Delete every job that is not in `kept`, as the owner, and return their number."""
    async with await app.database.connection(login) as owner:
        session = Session(owner, app.database.schema)
        (row,) = await session.fetch("soak/retire_checked_jobs", {"kept": list(kept)})
    retired: int = row["retired"]
    return retired

"""submit: job row, stage rows and job message, in one transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ...statemachine.identity import job_id_of
from ...statemachine.job import Job, checked_deadline
from ...statemachine.lifecycles import JOB
from ...statemachine.machine import machine_of
from ..bus.port import Announcement, Bus
from ..store.database import PATIENCE_SECONDS, Database
from ..store.session import Row, Session, event_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The result of a submission. `result` is the job's, once it has completed; `next_step` is what can be done now."""

    id: str
    job_type: str
    created: bool
    status: str
    result: object = None
    next_step: str = ""


async def submit(  # noqa: PLR0913 - the parts of a submission, and who requests it
    database: Database,
    bus: Bus,
    job: Job,
    parameters: Mapping[str, object],
    key: str | None = None,
    *,
    deadline: float | None = None,
    by: str | None = None,
) -> Submission:
    """Submit `job`, or return it if it was submitted before.

    The same type, parameters and key are the same job: then nothing changes, and its state and result are returned.
    `deadline`, in seconds, overrides the declared one. `by` is who requested it, and is recorded in the event. Raises
    ParameterError for parameters that the job does not accept, DefinitionError for an invalid deadline, and
    DatabaseUnreachableError. A submission is retried if the connection is lost: the same job is submitted once. It
    raises LockTimeoutError, with nothing changed, if others hold a lock for PATIENCE_SECONDS, for example by submitting
    the same job in a transaction that stays open.
    """
    checked = job.check_parameters(parameters)
    job_id = job_id_of(job.name, checked, key)
    within = job.deadline if deadline is None else checked_deadline(deadline)
    submitted = {"parameters": checked, "submission_key": key, "deadline": within}

    async def write(session: Session) -> Submission:
        if await _insert(session, job, job_id, submitted, by):
            await bus.announce(session, [Announcement("job", job_id, queued=True)])
            return Submission(id=job_id, job_type=job.name, created=True, status=JOB.initial.name)
        return _submitted_before((await session.fetch("flow/load_job", {"job_id": job_id}))[0])

    return await database.commit_again(write, PATIENCE_SECONDS)


def _submitted_before(row: Row) -> Submission:
    return Submission(
        id=row["job_id"],
        job_type=row["job_type"],
        created=False,
        status=row["status"],
        result=row["result"],
        next_step=_next_step(row),
    )


async def _insert(session: Session, job: Job, job_id: str, submitted: Mapping[str, object], by: str | None) -> bool:
    who = {"by": by} if by else {}
    event = machine_of(JOB).creation_event(
        {"job_type": job.name, "stages": [stage.name for stage in job.stages], **who}
    )
    made = await session.fetch(
        "flow/insert_job",
        {
            "job_id": job_id,
            "job_type": job.name,
            "stages": list(range(1, len(job.stages) + 1)),
            "names": [stage.name for stage in job.stages],
            "task_types": [stage.task.name for stage in job.stages],
            "definitions": [json.dumps(job.stage_definition(stage)) for stage in job.stages],
            **submitted,
            "parameters": json.dumps(submitted["parameters"]),
            "definition": json.dumps(job.definition()),
            "stage_count": len(job.stages),
            **event_parameters(event),
        },
    )
    return bool(made)


def _next_step(row: Row) -> str:
    short = row["job_id"][:12]
    new_run = "to run the same work again, use a key (--key)"
    state = JOB.by_name[row["status"]]
    if state.failure:
        return f"to continue where it stopped: coremachine resume {short}; {new_run}"
    return new_run if state.terminal else f"it has not ended: coremachine timeline {short} --follow"

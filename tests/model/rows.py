"""The rows of a job in the form of the model, read from the database or predicted by the model."""

from coremachine.runtime.store.session import Session
from tests.integration.rows import run
from tests.model import state as model

JOB = (
    "SELECT status, CASE WHEN due_at IS NULL THEN NULL WHEN lease_owner IS NULL THEN 'due'"
    " WHEN lease_expires_at <= app.clock() THEN 'late' ELSE 'held' END AS message,"
    " CASE WHEN deadline_at <= app.clock() THEN 'past' WHEN deadline_at IS NOT NULL THEN 'ahead' END AS deadline"
    " FROM app.jobs WHERE job_id = %(id)s"
)
STAGES = (
    "SELECT status, tasks_total AS total, tasks_completed AS completed, tasks_failed AS failed,"
    " tasks_cancelled AS cancelled, stop_reason AS stop,"
    " COALESCE(stopped_at <= app.clock() - interval '1 hour', false) AS waited"
    " FROM app.stages WHERE job_id = %(id)s ORDER BY stage"
)
LEASED = (
    "SELECT {0} AS place, status, attempt, max_attempts, rescues,"
    " COALESCE(lease_expires_at <= app.clock(), false) AS expired,"
    " COALESCE(deadline_at <= app.clock(), false) AS over"
    " FROM app.{1} WHERE job_id = %(id)s ORDER BY {2}"
)


async def actual_rows(session: Session, job_id: str) -> tuple[object, ...]:
    """The rows in the database."""
    key = {"id": job_id}
    (job,) = await run(session, JOB, key)
    stages = await run(session, STAGES, key)
    tasks = await run(session, LEASED.format("stage - 1", "tasks", "stage, task_index"), key)
    callbacks = await run(session, LEASED.format("0", "callbacks", "callback_id"), key)
    return comparable(
        model.JobRow(**job),
        [model.StageRow(**one) for one in stages],
        [(one.pop("place"), model.TaskRow(**one)) for one in tasks],
        [model.TaskRow(**{k: v for k, v in one.items() if k != "place"}) for one in callbacks],
    )


def comparable(
    job: model.JobRow,
    stages: list[model.StageRow],
    tasks: list[tuple[int, model.TaskRow]],
    callbacks: list[model.TaskRow],
) -> tuple[object, ...]:
    """Rows that can be compared. How often a stage was opened is not part of any row."""
    return job, [one._replace(openings=0) for one in stages], tasks, callbacks


def predicted_rows(state: model.State) -> tuple[object, ...]:
    """The rows that the model predicts."""
    tasks = [(number, row) for number, rows in enumerate(state.tasks) for row in rows]
    return comparable(state.job, list(state.stages), tasks, [] if state.callback is None else [state.callback])

"""Whether every task of a job has exactly the events of one successful attempt."""

from coremachine import AsyncCoreMachine
from coremachine.runtime.store.session import Row
from tests.observing import rows

OTHERWISE = """
SELECT t.task_id, t.status, t.lease_number, e.started, e.completed, e.others
FROM app.tasks AS t LEFT JOIN (
  SELECT task_id, count(*) FILTER (WHERE event_type = 'task_started') AS started,
         count(*) FILTER (WHERE event_type = 'task_completed') AS completed,
         count(*) FILTER (WHERE event_type NOT IN ('task_started', 'task_completed')) AS others
  FROM app.job_events WHERE job_id = %s GROUP BY task_id
) AS e USING (task_id)
WHERE t.job_id = %s
  AND (t.status, t.lease_number, e.started, e.completed, e.others) IS DISTINCT FROM ('completed', 1, 1, 1, 0)
"""


async def tasks_that_ran_otherwise(app: AsyncCoreMachine, job_id: str) -> list[Row]:
    """The tasks of the job that do not have exactly one task_started and one task_completed."""
    return await rows(app, OTHERWISE, job_id, job_id)

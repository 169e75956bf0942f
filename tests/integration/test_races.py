"""Two clients at once, one of whom waits for the other's lock: whoever comes second is refused, or sees what changed.

Each race names the triggers and CHECKs that refuse the second one at READ COMMITTED, in the order in which they do. At
REPEATABLE READ the server itself refuses it. Without them the wrong state is reached: that is tried as well.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from coremachine.runtime.store.session import Session
from coremachine.sql_generator.roles import worker_role
from coremachine.statemachine.tables import JOBS, STAGES, TASKS
from tests.integration.rows import open_session, row_in, run
from tests.waiting import until

LEVELS = ("READ COMMITTED", "REPEATABLE READ")
NOT_SERIALIZABLE = "40001"
COMPLETE_TASK = """
UPDATE app.tasks SET status = 'completed', result = '1', finished_at = app.clock(), lease_owner = NULL,
  lease_expires_at = NULL WHERE task_id = %(task)s AND status = 'processing'
"""
COMPLETE_STAGE = """
UPDATE app.stages SET status = 'completed', finished_at = app.clock()
WHERE stage_id = %(stage)s AND status = 'processing'
"""
FAIL_STAGE = """
UPDATE app.stages SET status = 'failed', error = '{}', finished_at = app.clock()
WHERE stage_id = %(stage)s AND status = 'processing'
"""
CANCEL_STAGE = """
UPDATE app.stages SET status = 'cancelled', finished_at = app.clock()
WHERE stage_id = %(stage)s AND status = 'processing'
"""
RESUME_STAGE = """
UPDATE app.stages SET status = 'pending', error = NULL, started_at = NULL, finished_at = NULL
WHERE stage_id = %(stage)s AND status = 'failed'
"""
ADD_TASK = """
INSERT INTO app.tasks (task_id, job_id, stage_id, stage, task_index, task_number, task_type)
VALUES (%(stage)s || '-new', %(job)s, %(stage)s, 1, 7, 8, 'add')
"""
QUEUE_AGAIN = """
UPDATE app.tasks SET status = 'queued', due_at = app.clock(), error = NULL, finished_at = NULL, attempt = attempt + 1,
  max_attempts = max_attempts + 1, rescues = 0
WHERE task_id = %(failed)s AND status = 'failed'
"""
RELEASE = """
UPDATE app.tasks SET status = 'queued', due_at = app.clock(), lease_owner = NULL, lease_expires_at = NULL
WHERE task_id = %(task)s AND status = 'processing'
"""
ADD_STAGE = "INSERT INTO app.stages (job_id, stage, name, task_type) VALUES (%(job)s, 2, 'second', 'add')"
FAIL_JOB = """
UPDATE app.jobs SET status = 'failed', error = '{}', finished_at = app.clock(), due_at = NULL
WHERE job_id = %(job)s AND status = 'processing'
"""
COMPLETE_JOB = """
UPDATE app.jobs SET status = 'completed', result = '1', finished_at = app.clock(), due_at = NULL
WHERE job_id = %(job)s AND status = 'processing'
"""
WRONG = """
SELECT 'the counters of stage ' || s.stage AS wrong FROM app.stages AS s
WHERE s.job_id = %(job)s AND (s.tasks_total, s.tasks_open, s.tasks_completed, s.tasks_failed, s.tasks_cancelled)
  NOT IN (SELECT count(*), count(*) FILTER (WHERE t.status IN ('queued', 'processing')),
    count(*) FILTER (WHERE t.status = 'completed'), count(*) FILTER (WHERE t.status = 'failed'),
    count(*) FILTER (WHERE t.status = 'cancelled') FROM app.tasks AS t WHERE t.stage_id = s.stage_id)
UNION ALL
SELECT 'the counters of the job' FROM app.jobs AS j
WHERE j.job_id = %(job)s AND (j.stages_open, j.stages_completed, j.tasks_total)
  NOT IN (SELECT count(*) FILTER (WHERE s.status IN ('pending', 'processing')),
    count(*) FILTER (WHERE s.status = 'completed'), coalesce(sum(s.tasks_total), 0)
    FROM app.stages AS s WHERE s.job_id = j.job_id)
UNION ALL
SELECT 'a closed stage has an open task' FROM app.stages AS s JOIN app.tasks AS t USING (stage_id)
WHERE s.job_id = %(job)s AND s.status <> 'processing' AND t.status IN ('queued', 'processing')
UNION ALL
SELECT 'an ended job has an open stage' FROM app.stages AS s JOIN app.jobs AS j USING (job_id)
WHERE j.job_id = %(job)s AND j.status NOT IN ('queued', 'processing') AND s.status IN ('pending', 'processing')
UNION ALL
SELECT 'a completed job has a stage that is not' FROM app.stages AS s JOIN app.jobs AS j USING (job_id)
WHERE j.job_id = %(job)s AND j.status = 'completed' AND s.status <> 'completed'
"""


Steps = Sequence[str]
Keys = dict[str, object]


@dataclass(frozen=True)
class Race:
    """What the first client does before it commits, and the second meanwhile; and what then refuses the second.

    Where `refused_by` is empty the second finds nothing to move any more. They are triggers and CHECKs by name.
    """

    name: str
    start: str
    first: Steps
    second: Steps
    refused_by: tuple[str, ...] = ()


ENDED_STAGE = ("stages_6_ended", "stages_closed_when_counted")
ENDED_JOB = ("jobs_6_ended", "jobs_ended_when_counted")
LAST_TASK = (COMPLETE_TASK, COMPLETE_STAGE)
LAST_OF_FAILED = (COMPLETE_TASK, FAIL_STAGE)
RACES = (
    Race(
        "a task is added where the last was completed",
        "last",
        LAST_TASK,
        (ADD_TASK,),
        (*ENDED_STAGE, "stages_completed_whole"),
    ),
    Race(
        "the last task is completed where one was added",
        "last",
        (ADD_TASK,),
        LAST_TASK,
        ("stages_closed_when_counted", "stages_completed_whole"),
    ),
    Race("a task is resumed where the last was completed", "failed", LAST_OF_FAILED, (QUEUE_AGAIN,), ENDED_STAGE),
    Race(
        "the last task is completed where one was resumed",
        "failed",
        (QUEUE_AGAIN,),
        LAST_OF_FAILED,
        ("stages_closed_when_counted",),
    ),
    Race("a task is queued again where its stage was closed", "counted", (FAIL_STAGE,), (QUEUE_AGAIN,), ENDED_STAGE),
    Race(
        "a stage is closed where a task was queued again",
        "counted",
        (QUEUE_AGAIN,),
        (FAIL_STAGE,),
        ("stages_closed_when_counted",),
    ),
    Race("a task is released where it was the last completed", "last", LAST_TASK, (RELEASE,)),
    Race(
        "the last task is completed where it was released",
        "last",
        (RELEASE,),
        LAST_TASK,
        ("stages_closed_when_counted", "stages_completed_whole"),
    ),
    Race("a stage is added where the job was ended", "room", (FAIL_JOB,), (ADD_STAGE,), ENDED_JOB),
    Race("the job is ended where a stage was added", "room", (ADD_STAGE,), (FAIL_JOB,), ("jobs_ended_when_counted",)),
    Race("a stage is resumed where the job was ended", "stopped", (FAIL_JOB,), (RESUME_STAGE,), ENDED_JOB),
    Race(
        "the job is ended where a stage was resumed",
        "stopped",
        (RESUME_STAGE,),
        (FAIL_JOB,),
        ("jobs_ended_when_counted",),
    ),
    Race(
        "a stage is cancelled where it was completed with its job",
        "empty",
        (COMPLETE_STAGE, COMPLETE_JOB),
        (CANCEL_STAGE,),
    ),
    Race(
        "the job is completed where its stage was cancelled",
        "empty",
        (CANCEL_STAGE,),
        (COMPLETE_STAGE, COMPLETE_JOB),
        ("jobs_completed_whole",),
    ),
)
REFUSED = [race for race in RACES if race.refused_by]
RACE = pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)


async def brought_to(session: Session, start: str) -> Keys:
    """A job under way with one stage, as a race wants it: with which tasks, and with room for how many stages."""
    job = (await row_in(session, JOBS, "processing", stage_count=2 if start in {"room", "stopped"} else 1)).key
    keys: Keys = {"job": job}
    first = {"room": "completed", "stopped": "failed"}.get(start, "processing")
    stage = keys["stage"] = int((await row_in(session, STAGES, first, job_id=job)).key)
    of = {"job_id": job, "stage_id": stage}
    if start in {"last", "failed"}:
        keys["task"] = (await row_in(session, TASKS, "processing", **of)).key
    if start in {"failed", "counted"}:
        keys["failed"] = (await row_in(session, TASKS, "failed", task_index=1, **of)).key
    return keys


@dataclass(frozen=True)
class Ring:
    """Two clients with the rights of a worker, and the owner, who looks on."""

    owner: Session
    first: Session
    second: Session

    async def run(self, race: Race, level: str, keys: Keys) -> psycopg.Error | None:
        """The first does its part, the second waits for it, the first commits. Returns what refused the second."""
        for client in (self.first, self.second):
            await run(client, f"BEGIN ISOLATION LEVEL {level}")
        for step in race.first:
            assert (await self.first.connection.execute(step.encode(), keys)).rowcount == 1
        second = asyncio.create_task(self._done(race.second, keys))
        await until(lambda: self._waits(second), "the second waits for the first")
        await run(self.first, "COMMIT")
        return await second

    async def _done(self, steps: Steps, keys: Keys) -> psycopg.Error | None:
        try:
            for step in steps:
                await self.second.connection.execute(step.encode(), keys)
        except psycopg.Error as refused:
            await run(self.second, "ROLLBACK")
            return refused
        await run(self.second, "COMMIT")
        return None

    async def _waits(self, second: asyncio.Task[psycopg.Error | None]) -> bool:
        assert not second.done(), f"it did not wait: {second.result()}"
        pids = {"first": self.first.connection.info.backend_pid, "second": self.second.connection.info.backend_pid}
        (row,) = await run(self.owner, "SELECT %(first)s = ANY(pg_blocking_pids(%(second)s)) AS waits", pids)
        return bool(row["waits"])


@pytest_asyncio.fixture
async def ring(shared_url: str) -> AsyncIterator[Ring]:
    async with AsyncExitStack() as stack:
        yield await ring_on(shared_url, stack)


@pytest_asyncio.fixture
async def bare_ring(url: str) -> AsyncIterator[Ring]:
    """One on a database of its own, whose rules may be taken away."""
    async with AsyncExitStack() as stack:
        yield await ring_on(url, stack)


async def ring_on(url: str, stack: AsyncExitStack) -> Ring:
    """Three sessions, of which two have a worker's role."""
    owner, *clients = [await stack.enter_async_context(open_session(url)) for _ in range(3)]
    for client in clients:
        await run(client, f"SET ROLE {worker_role('app')}")
    return Ring(owner, *clients)


@RACE
@pytest.mark.parametrize("level", LEVELS)
async def test_whoever_comes_second_is_refused_or_moves_nothing(ring: Ring, race: Race, level: str) -> None:
    keys = await brought_to(ring.owner, race.start)
    refused = await ring.run(race, level, keys)
    assert await run(ring.owner, WRONG, keys) == []
    if level == LEVELS[1]:
        assert refused is not None
        assert refused.sqlstate == NOT_SERIALIZABLE
    elif race.refused_by:
        assert refused is not None
        assert enforced_by(refused, race.refused_by[0]), str(refused)
    else:
        assert refused is None


def enforced_by(refused: psycopg.Error, name: str) -> bool:
    """Whether it was this CHECK that refused, or this trigger, whose code is CM007."""
    if name.endswith("_6_ended"):
        return refused.sqlstate == "CM007" and str(refused).startswith(name[: -len("s_6_ended")])
    return refused.diag.constraint_name == name


@pytest.mark.parametrize("race", REFUSED, ids=lambda race: race.name)
async def test_without_what_refuses_it_the_wrong_state_is_reached(bare_ring: Ring, race: Race) -> None:
    """One rule after the other is taken away: the next one refuses, and after the last nothing does."""
    ring = bare_ring
    for number, name in enumerate(race.refused_by, 1):
        table = name.partition("_")[0]
        drop = (
            f"DROP TRIGGER {name} ON app.{table}"
            if name.endswith("_ended")
            else f"ALTER TABLE app.{table} DROP CONSTRAINT {name}"
        )
        await run(ring.owner, drop)
        keys = await brought_to(ring.owner, race.start)
        refused = await ring.run(race, LEVELS[0], keys)
        if number < len(race.refused_by):
            assert refused is not None
            assert enforced_by(refused, race.refused_by[number]), str(refused)
            assert await run(ring.owner, WRONG, keys) == []
        else:
            assert refused is None, str(refused)
            assert await run(ring.owner, WRONG, keys)

"""The ceiling: the same rows, moved by the same statements, with no worker around them.

Programs that only claim and complete, in large sets: no handlers, no machines in Python, no leases to renew. What the
worker reaches beside it is its share.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from ...sql_generator.claims import claim_statement
from ...sql_generator.moves import move_statement
from ...statemachine.errors import OperationError
from ...statemachine.tables import TASKS
from ..app import AsyncCoreMachine
from ..flow.flow import Flow
from ..flow.handle_job import handle_job_message
from ..flow.rescue import close_counted_out
from ..settings import Settings
from ..store.queries import query
from ..store.rows import JobMessage
from .jobs import FLAT, flat_work
from .processes import start

SET = 500
CLAIMED = {"event_type": "task_started", "event_status": "success", "event_data": '{"worker": "ceiling"}'}


async def ceiling(app: AsyncCoreMachine, tasks: int, processes: int) -> float:
    """Tasks a second with `processes` programs on a queue of `tasks`."""
    submitted = await app.submit(FLAT, key=uuid4().hex, n=tasks)
    await _open(app)
    module = "coremachine.runtime.bench.ceiling"
    programs = [await start(module, app.database.url, app.settings) for _ in range(processes)]
    told: list[dict[str, float]] = []
    for program in programs:
        output, _ = await program.communicate()
        if program.returncode:
            raise OperationError(f"a program of the ceiling ended with {program.returncode}; its error is above")
        told.append(json.loads(output))
    if sum(one["moved"] for one in told) != tasks:
        raise OperationError(f"the ceiling moved {sum(one['moved'] for one in told)} of {tasks} tasks")
    await close_counted_out(app.database, app.bus, 10)
    return tasks / (max(one["ended"] for one in told) - min(one["began"] for one in told))


async def _open(app: AsyncCoreMachine) -> None:
    """Do what is due for jobs, as a worker would: make the queue, and finalize what an earlier run has left."""

    async def call(function: Any, given: Mapping[str, object]) -> Any:
        return await asyncio.to_thread(lambda: function(**given))

    claim = {"kinds": [FLAT.name], "limit": 100, "owner": "ceiling", "lease": 60.0}
    async with app.database.session() as session:
        rows = await session.fetch("claim_job_messages", claim)
    flow = Flow(app.database, app.bus, "ceiling", call)
    for row in rows:
        await handle_job_message(flow, app.jobs, JobMessage(row["job_id"], row["job_type"], row["lease_number"]))


def drain(url: str, schema: str) -> dict[str, float]:
    """Claim and complete until nothing is left."""
    moved, began, ended = 0, 0.0, 0.0
    claim, complete = claim_statement(TASKS, schema).encode(), move_statement(TASKS, "complete", schema).sql.encode()
    wanted = {"kinds": [flat_work.name], "limit": SET, "lease_owner": "ceiling", "lease": 60.0, **CLAIMED}
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        while rows := connection.execute(claim, wanted).fetchall():
            began = began or time.time()
            with connection.transaction():
                _complete(connection, complete, rows, schema)
            moved, ended = moved + len(rows), time.time()
    return {"moved": moved, "began": began, "ended": ended}


def _complete(
    connection: psycopg.Connection[dict[str, Any]], complete: bytes, rows: list[dict[str, Any]], schema: str
) -> None:
    connection.execute(query("lock_jobs", schema), {"job_ids": [rows[0]["job_id"]]})
    (stage,) = connection.execute(query("lock_stages", schema), {"stage_ids": [rows[0]["stage_id"]]}).fetchall()
    columns = {
        "task_id": [row["key"] for row in rows],
        "event_type": ["task_completed"] * len(rows),
        "event_status": ["success"] * len(rows),
        "event_data": ['{"worker": "ceiling", "duration_ms": 0}'] * len(rows),
        "lease_number": [row["lease_number"] for row in rows],
        "result": [str(row["item"]) for row in rows],
    }
    won = connection.execute(complete, columns).fetchall()
    counted = {**stage, "tasks_completed": stage["tasks_completed"] + len(won)}
    connection.execute(query("count_tasks", schema), counted)


if __name__ == "__main__":
    own = Settings()
    sys.stdout.write(json.dumps(drain(own.url or "", own.db_schema)))

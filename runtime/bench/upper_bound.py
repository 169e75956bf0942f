"""The upper bound: the same rows, moved by the same statements, with no worker around them.

Programs that only claim and complete, in large sets: no handlers, no machines in Python, no leases to renew. The
benchmark reports the worker's throughput as a share of it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from ...statemachine.errors import OperationError
from ...statemachine.tables import JOBS
from ..app import AsyncCoreMachine
from ..flow.flow import Flow
from ..flow.handle_job import handle_job_message
from ..flow.rescue import close_counted_out
from ..settings import Settings
from ..store.claims import Claim, claim_due
from ..store.queries import query
from ..store.rows import JobMessage
from ..store.session import Row, array_text
from .cost import processor_seconds
from .event_writer import EventWriter, statements_for
from .jobs import FLAT, flat_work
from .processes import start

SET_SIZE = 500
OWNER = "upper bound"
CLAIM_EVENT = {"event_type": "task_started", "event_status": "success", "event_data": '{"worker": "upper bound"}'}
COMPLETION_DATA = '{"worker": "upper bound", "duration_ms": 0}'


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What a program did: tasks moved, when it began and ended, and the server's processor seconds for it."""

    moved: int
    began: float
    ended: float
    server: float


@dataclass(frozen=True, slots=True)
class UpperBound:
    """Tasks a second, and microseconds of the server's processor a task; None for a server on another machine."""

    tasks_per_second: float
    server_us_per_task: float | None


async def measure_upper_bound(
    app: AsyncCoreMachine, tasks: int, processes: int, writer: EventWriter = "database"
) -> UpperBound:
    """Move a queue of `tasks` with `processes` programs."""
    await app.submit(FLAT, key=uuid4().hex, n=tasks)
    await _open(app)
    module = "coremachine.runtime.bench.upper_bound"
    programs = [await start(module, app.database.url, app.settings, writer) for _ in range(processes)]
    results: list[DrainResult] = []
    for program in programs:
        output, _ = await program.communicate()
        if program.returncode:
            raise OperationError(f"a program of the upper bound ended with {program.returncode}; its error is above")
        results.append(DrainResult(**json.loads(output)))
    moved = sum(one.moved for one in results)
    if moved != tasks:
        raise OperationError(f"the programs of the upper bound moved {moved} of {tasks} tasks")
    async with app.database.session() as session:
        stages = await session.fetch("reconciler/counted_out_stages", {"limit": 10})
    for stage in stages:
        await close_counted_out(app.database, app.bus, stage["job_id"], stage["stage_id"])
    server = sum(one.server for one in results)
    seconds = max(one.ended for one in results) - min(one.began for one in results if one.moved)
    return UpperBound(tasks / seconds, round(server * 1_000_000 / tasks, 1) or None)


async def _open(app: AsyncCoreMachine) -> None:
    """Handle the due job messages, as a worker does: open the queue, and finalize what an earlier run has left."""

    async def call(function: Any, given: Mapping[str, object]) -> Any:
        return await asyncio.to_thread(lambda: function(**given))

    claim = Claim(record=JOBS, types=[FLAT.name], limit=100, owner=OWNER, lease=60.0)
    async with app.database.session() as session:
        rows = await claim_due(session, claim)
    flow = Flow(app.database, app.bus, OWNER, call)
    for row in rows:
        await handle_job_message(flow, app.jobs, JobMessage.of(row))


def drain(url: str, schema: str, writer: EventWriter) -> DrainResult:
    """Claim and complete until nothing is left."""
    moved, began, ended = 0, 0.0, 0.0
    statements = statements_for(writer, schema)
    claim = {
        "types": [flat_work.name],
        "limit": SET_SIZE,
        "without": [],
        "lease_owner": OWNER,
        "lease": 60.0,
        **CLAIM_EVENT,
    }
    with psycopg.Connection[Row].connect(url, autocommit=True, row_factory=cast("Any", dict_row)) as connection:
        while rows := connection.execute(statements.claim, claim, prepare=False).fetchall():
            began = began or time.time()
            with connection.transaction():
                _complete(connection, statements.complete, rows, schema)
            moved, ended = moved + len(rows), time.time()
        server = processor_seconds(connection.info.backend_pid)
    return DrainResult(moved, began, ended, server or 0.0)


def _complete(connection: psycopg.Connection[Row], complete: bytes, rows: Sequence[Row], schema: str) -> None:
    connection.execute(query("flow/lock_jobs", schema), {"job_ids": [rows[0]["job_id"]]})
    connection.execute(query("flow/lock_stages", schema), {"stage_ids": [rows[0]["stage_id"]]})
    columns = {
        "task_id": array_text(row["key"] for row in rows),
        "event_type": array_text(["task_completed"] * len(rows)),
        "event_status": array_text(["success"] * len(rows)),
        "event_data": array_text([COMPLETION_DATA] * len(rows)),
        "lease_number": array_text(row["lease_number"] for row in rows),
        "result": array_text(str(row["item"]) for row in rows),
        "client_event_data": COMPLETION_DATA,
    }
    connection.execute(complete, columns, prepare=False)


if __name__ == "__main__":
    own = Settings()
    result = drain(own.url or "", own.db_schema, cast("EventWriter", sys.argv[1]))
    sys.stdout.write(json.dumps(asdict(result)))

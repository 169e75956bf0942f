"""The ceiling: the same rows, moved by the same statements, with no worker around them.

Programs that only claim and complete, in large sets: no handlers, no machines in Python, no leases to renew. What the
worker reaches beside it is its share.
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
from .cost import on_processor
from .jobs import FLAT, flat_work
from .processes import start
from .told import ToldBy, told

SET = 500
CLAIMED = {"event_type": "task_started", "event_status": "success", "event_data": '{"worker": "ceiling"}'}
ENDED = '{"worker": "ceiling", "duration_ms": 0}'


@dataclass(frozen=True, slots=True)
class Drained:
    """What a program did: when it began and ended, and the processor time that its connection took of the server."""

    moved: int
    began: float
    ended: float
    server: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Tasks a second, and microseconds of the server's processor a task; None for a server on another machine."""

    tasks_per_second: float
    server_us_per_task: float | None


async def ceiling(app: AsyncCoreMachine, tasks: int, processes: int, told_by: ToldBy = "database") -> Ceiling:
    """Move a queue of `tasks` with `processes` programs."""
    await app.submit(FLAT, key=uuid4().hex, n=tasks)
    await _open(app)
    module = "coremachine.runtime.bench.ceiling"
    programs = [await start(module, app.database.url, app.settings, told_by) for _ in range(processes)]
    drained: list[Drained] = []
    for program in programs:
        output, _ = await program.communicate()
        if program.returncode:
            raise OperationError(f"a program of the ceiling ended with {program.returncode}; its error is above")
        drained.append(Drained(**json.loads(output)))
    moved = sum(one.moved for one in drained)
    if moved != tasks:
        raise OperationError(f"the ceiling moved {moved} of {tasks} tasks")
    async with app.database.session() as session:
        left = await session.fetch("reconciler/counted_out_stages", {"limit": 10})
    for stage in left:
        await close_counted_out(app.database, app.bus, stage["job_id"], stage["stage_id"])
    server = sum(one.server for one in drained)
    seconds = max(one.ended for one in drained) - min(one.began for one in drained if one.moved)
    return Ceiling(tasks / seconds, round(server * 1_000_000 / tasks, 1) or None)


async def _open(app: AsyncCoreMachine) -> None:
    """Do what is due for jobs, as a worker would: make the queue, and finalize what an earlier run has left."""

    async def call(function: Any, given: Mapping[str, object]) -> Any:
        return await asyncio.to_thread(lambda: function(**given))

    claim = Claim(record=JOBS, types=[FLAT.name], limit=100, owner="ceiling", lease=60.0)
    async with app.database.session() as session:
        rows = await claim_due(session, claim)
    flow = Flow(app.database, app.bus, "ceiling", call)
    for row in rows:
        await handle_job_message(flow, app.jobs, JobMessage.of(row))


def drain(url: str, schema: str, told_by: ToldBy) -> Drained:
    """Claim and complete until nothing is left."""
    moved, began, ended = 0, 0.0, 0.0
    statements = told(schema, told_by)
    wanted = {
        "types": [flat_work.name],
        "limit": SET,
        "without": [],
        "lease_owner": "ceiling",
        "lease": 60.0,
        **CLAIMED,
    }
    with psycopg.Connection[Row].connect(url, autocommit=True, row_factory=cast("Any", dict_row)) as connection:
        while rows := connection.execute(statements.claim, wanted, prepare=False).fetchall():
            began = began or time.time()
            with connection.transaction():
                _complete(connection, statements.complete, rows, schema)
            moved, ended = moved + len(rows), time.time()
        server = on_processor(connection.info.backend_pid)
    return Drained(moved, began, ended, server or 0.0)


def _complete(connection: psycopg.Connection[Row], complete: bytes, rows: Sequence[Row], schema: str) -> None:
    connection.execute(query("flow/lock_jobs", schema), {"job_ids": [rows[0]["job_id"]]})
    connection.execute(query("flow/lock_stages", schema), {"stage_ids": [rows[0]["stage_id"]]})
    columns = {
        "task_id": array_text(row["key"] for row in rows),
        "event_type": array_text(["task_completed"] * len(rows)),
        "event_status": array_text(["success"] * len(rows)),
        "event_data": array_text([ENDED] * len(rows)),
        "lease_number": array_text(row["lease_number"] for row in rows),
        "result": array_text(str(row["item"]) for row in rows),
        "told": ENDED,
    }
    connection.execute(complete, columns, prepare=False)


if __name__ == "__main__":
    own = Settings()
    sys.stdout.write(json.dumps(asdict(drain(own.url or "", own.db_schema, cast("ToldBy", sys.argv[1])))))

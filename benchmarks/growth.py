"""What a task costs as things grow: the stage, the history, dead rows that an old snapshot keeps, the memory.

    python benchmarks/growth.py --url postgresql://… [--history 10000000] [--churn 1000000] [--json FILE] [--plot FILE]

The login must be a superuser: the history is generated, and the triggers that would refuse it are bypassed.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg

from coremachine.runtime.app import AsyncCoreMachine
from coremachine.runtime.bench.environment import read_environment
from coremachine.runtime.bench.jobs import FAN
from coremachine.runtime.bench.processes import workers
from coremachine.runtime.bench.scratch_schema import scratch_schema
from coremachine.runtime.bench.throughput import Run, run_once
from coremachine.runtime.settings import Settings

STAGES = (100, 1_000, 10_000, 100_000)
USUAL_TASKS = 10_000
HISTORY = """
INSERT INTO {schema}.job_events (job_id, task_id, stage, lease_number, attempt, event_type, event_status, event_data)
SELECT e.job_id, e.task_id, e.stage, e.lease_number, e.attempt, e.event_type, e.event_status, e.event_data
FROM (SELECT * FROM {schema}.job_events WHERE task_id IS NOT NULL LIMIT 10000) AS e, generate_series(1, %s)
"""
SIZES = """
SELECT c.relname AS name, pg_relation_size(c.oid) AS bytes FROM pg_class AS c
WHERE c.relnamespace = '{schema}'::regnamespace AND c.relname ~ '^tasks' AND c.relkind IN ('r', 'i') ORDER BY c.relname
"""


async def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--history", type=int, default=10_000_000, help="events")
    parser.add_argument("--churn", type=int, default=1_000_000, help="tasks")
    parser.add_argument("--most", type=int, default=STAGES[-1], help="tasks of the largest stage")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    report = await measure(options)
    for name, value in report.items():
        sys.stdout.write(f"{name}: {json.dumps(value)}\n")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        import plots

        plots.draw_growth(report, options.plot)


async def measure(options: argparse.Namespace) -> dict[str, object]:
    """All measurements, one after the other, with one worker in one schema."""
    report: dict[str, object] = {"began": datetime.now(UTC).isoformat(timespec="seconds")}
    async with scratch_schema(Settings(url=options.url)) as app, workers(app, 1) as pids:
        report["where"] = asdict(await read_environment(app.database))
        await run_once(app, FAN, 1_000, [])
        report["stage of N tasks"] = {
            n: summary([await run_once(app, FAN, n, pids) for _ in range(options.runs)])
            for n in STAGES
            if n <= options.most
        }
        report["memory, MB"] = memory(pids)
        report["churn"] = await churn(app, pids, options.churn)
        report["memory after churn, MB"] = memory(pids)
        async with old_snapshot(app):
            report["an old snapshot held open"] = summary(
                [await run_once(app, FAN, USUAL_TASKS, pids) for _ in range(5)]
            )
        report["no old snapshot"] = summary([await run_once(app, FAN, USUAL_TASKS, pids) for _ in range(5)])
        report["readers before history, ms"] = await readers(app)
        report["history, events"] = await make_history(app, options.history)
        report["readers after history, ms"] = await readers(app)
        report["after history"] = summary([await run_once(app, FAN, USUAL_TASKS, pids) for _ in range(options.runs)])
    return report


def summary(runs: Sequence[Run]) -> dict[str, object]:
    """Medians: by the clock, and in processor time, which a busy machine changes less."""
    spent = [(run.python_us_per_task or 0) + (run.server_us_per_task or 0) for run in runs]
    return {
        "tasks/s": round(median(run.tasks_per_second for run in runs)),
        "processor us/task": round(median(spent), 1),
        "each": [round(run.tasks_per_second) for run in runs],
    }


def memory(pids: Sequence[int]) -> list[float]:
    """The memory of each worker."""
    found: list[float] = []
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        found += [round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS")]
    return found


async def churn(app: AsyncCoreMachine, pids: Sequence[int], tasks: int) -> dict[str, object]:
    """Many jobs, one after another: the size of the table and its indexes, and the first and last tenth of the jobs."""
    runs = [await run_once(app, FAN, USUAL_TASKS, pids) for _ in range(max(tasks // USUAL_TASKS, 1))]
    tenth = max(len(runs) // 10, 1)
    async with await app.database.connection("bench") as owner:
        cursor = await owner.execute(SIZES.format(schema=app.database.schema).encode())
        sizes = {row["name"]: round(row["bytes"] / 1_000_000, 1) for row in await cursor.fetchall()}
    return {"first": summary(runs[:tenth]), "last": summary(runs[-tenth:]), "MB": sizes}


@asynccontextmanager
async def old_snapshot(app: AsyncCoreMachine) -> AsyncGenerator[None]:
    """A transaction with an old snapshot, which keeps vacuum from removing rows that have died since."""
    async with await app.database.connection("bench") as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        async with connection.transaction():
            await connection.execute("SELECT 1")
            yield


async def readers(app: AsyncCoreMachine) -> dict[str, float]:
    """Milliseconds to read one job of the usual size, and to audit everything."""
    (job,) = await app.list_jobs(limit=1)
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "timeline": lambda: app.timeline(job["job_id"]),
        "first page of events": lambda: app.events_after(job["job_id"]),
        "why": lambda: app.why(job["job_id"]),
        "audit": app.audit,
    }
    return {name: await milliseconds(read) for name, read in reads.items()}


async def milliseconds(read: Callable[[], Awaitable[object]]) -> float:
    """The duration of the second call: the first one reads from the disk."""
    await read()
    began = perf_counter()
    await read()
    return round((perf_counter() - began) * 1000, 1)


async def make_history(app: AsyncCoreMachine, events: int) -> int:
    """Insert copies of real events, bypassing the triggers."""
    async with await app.database.connection("bench") as owner:
        await owner.execute("SET session_replication_role = replica")
        cursor = await owner.execute(HISTORY.format(schema=app.database.schema).encode(), (events // 10_000,))
        return cursor.rowcount


asyncio.run(main())

"""Latency: from the call that submits a job to the start of its handler, on an idle system."""

import asyncio
import time
from dataclasses import asdict
from statistics import quantiles
from uuid import uuid4

from ..app import AsyncCoreMachine
from ..settings import Settings
from .environment import read_environment
from .jobs import START
from .processes import workers
from .scratch_schema import scratch_schema
from .throughput import wait_for_end

WARM_UP = 20
PAUSE_SECONDS = 0.02


async def latency(settings: Settings, *, samples: int, processes: int) -> dict[str, object]:
    """Submit `samples` jobs one after another. Returns what `coremachine bench latency --json` prints.

    Clocks are compared between two processes, so the workers run on this machine. Raises NotDurableError.
    """
    async with scratch_schema(settings) as app, workers(app, processes):
        environment = await read_environment(app.database)
        for _ in range(WARM_UP):
            await _sample(app)
        found = sorted([await _sample(app) for _ in range(samples)])
    hundredths = quantiles(found, n=100, method="inclusive")
    return {
        "benchmark": "latency",
        "samples": samples,
        "workers": processes,
        "p50_ms": round(hundredths[49], 2),
        "p90_ms": round(hundredths[89], 2),
        "p99_ms": round(hundredths[98], 2),
        "most_ms": round(found[-1], 2),
        "where": asdict(environment),
    }


async def _sample(app: AsyncCoreMachine) -> float:
    """Milliseconds from submission to the handler's first line. Waits until the job has ended."""
    began = time.time()
    submitted = await app.submit(START, key=uuid4().hex)
    await wait_for_end(app, submitted.id)
    started = (await app.job(submitted.id))["result"]
    await asyncio.sleep(PAUSE_SECONDS)
    return float(started - began) * 1000

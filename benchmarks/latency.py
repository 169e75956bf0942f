"""How long a task waits on an idle system: from the call that submits it to the first line of its handler."""

from dataclasses import dataclass
from statistics import quantiles

from stage import Where, stage

WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    samples: int
    p50_ms: float
    p99_ms: float
    most_ms: float


def run_latency(name: str, where: Where, samples: int) -> Latency:
    """One run, after a warm-up, with two workers awake. Raises PeerFailedError."""
    with stage(name, where) as found, found.workers():
        found.wake("fan")
        found.call("latency", str(WARM_UP))
        found.watch.forget_waits()
        found.call("latency", str(samples))
        waits = sorted(found.watch.waits())
    hundredths = quantiles(waits, n=100, method="inclusive")
    return Latency(len(waits), round(hundredths[49], 1), round(hundredths[98], 1), round(waits[-1], 1))

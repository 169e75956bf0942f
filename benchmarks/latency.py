"""Latency on an idle system: from the call that submits a task to the first line of its handler."""

from dataclasses import dataclass
from statistics import quantiles

from peer_run import PeerOptions, peer_run

WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    samples: int
    p50_ms: float
    p99_ms: float
    most_ms: float


def run_latency(name: str, options: PeerOptions, samples: int) -> Latency:
    """One run, after a warm-up, with two ready workers. Raises PeerFailedError."""
    with peer_run(name, options) as run, run.workers():
        run.warm_up("fan")
        run.call("latency", str(WARM_UP))
        run.watch.forget_latencies()
        run.call("latency", str(samples))
        latencies = sorted(run.watch.latencies())
    hundredths = quantiles(latencies, n=100, method="inclusive")
    return Latency(len(latencies), round(hundredths[49], 1), round(hundredths[98], 1), round(latencies[-1], 1))

"""The workers of the storm: `coremachine worker` in processes of their own, each behind a gate of its own."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from coremachine.runtime.cli.processes import LEASH_VARIABLE
from coremachine.runtime.soak.fleet import Command, Fleet, WorkerProcess
from tests.storm.proxy import Gate, Proxy

ROOT = Path(__file__).parents[2]
JOBS = "tests.storm.jobs"
COMMAND = Command(
    (sys.executable, "-m", "coremachine", "worker", "--app", JOBS, "--log-level", "info"),
    {LEASH_VARIABLE: "1", "PYTHONPATH": str(ROOT)},
)


@dataclass
class Workers(Fleet):
    """A fleet that reaches the database only through the proxy."""

    proxy: Proxy = field(kw_only=True)
    gates: dict[int, Gate] = field(default_factory=dict[int, Gate])

    def _start(self) -> WorkerProcess:
        gate = self.proxy.open()
        self.url = gate.url
        worker = super()._start()
        self.gates[worker.process.pid] = gate
        return worker

    def _bury(self, worker: WorkerProcess) -> None:
        self.proxy.close(self.gates.pop(worker.process.pid))
        super()._bury(worker)

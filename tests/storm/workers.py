"""The workers of the storm: processes of `coremachine worker`, each behind a port of the proxy."""

from dataclasses import dataclass, field
from pathlib import Path

from coremachine.runtime.soak.workers import WorkerProcess, Workers, worker_command
from tests.storm.proxy import Proxy, WorkerPort

ROOT = Path(__file__).parents[2]
COMMAND = worker_command("tests.storm.jobs", PYTHONPATH=str(ROOT))


@dataclass
class ProxiedWorkers(Workers):
    """Workers that reach the database only through the proxy."""

    proxy: Proxy = field(kw_only=True)
    ports: dict[int, WorkerPort] = field(default_factory=dict[int, WorkerPort])

    def _start(self) -> WorkerProcess:
        port = self.proxy.open()
        self.url = port.url
        worker = super()._start()
        self.ports[worker.process.pid] = port
        return worker

    def _remove(self, worker: WorkerProcess) -> None:
        self.proxy.close(self.ports.pop(worker.process.pid))
        super()._remove(worker)

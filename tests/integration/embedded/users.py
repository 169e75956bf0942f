"""Users of a server in separate processes."""

import signal
import subprocess
import sys
from pathlib import Path

USER = """
import sys
from pathlib import Path
from coremachine.runtime.embedded import EmbeddedServer
server = EmbeddedServer.open(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
"""


class User:
    """A process that has opened the server and leaves, without closing it, when its input ends."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        """Wait until it has opened the server, and return the URL it got."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        """Let it come to its end."""
        self.process.communicate()
        assert self.process.returncode == 0

    def killed_by(self, number: signal.Signals) -> None:
        """End it by a signal that it does not handle."""
        self.process.send_signal(number)
        self.process.communicate()
        assert self.process.returncode == -number

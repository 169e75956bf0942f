"""Commands in processes that are forked from one which has imported the command line: each starts at once.

An interpreter of their own would take each of them a second of work. A command has its own arguments, environment,
folder and streams all the same. It must not depend on what happens as an interpreter starts: `started` is for that.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 100.0


class Forks:
    """The process that forks. It ends with this one, whose end of the line it reads."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path | None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises TimeoutExpired where it takes too long, with the command killed."""
        with TemporaryFile() as request, TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as error:
            request.write(json.dumps([[*arguments], {**env}, str(cwd or Path.cwd())]).encode())
            given.write(stdin.encode())
            for file in (request, given):
                file.seek(0)
            socket.send_fds(self._line, [b"\n"], [file.fileno() for file in (request, given, out, error)])
            code = self._ended(arguments)
            for file in (out, error):
                file.seek(0)
            return subprocess.CompletedProcess([*arguments], code, out.read().decode(), error.read().decode())

    def _ended(self, arguments: Sequence[str]) -> int:
        pid = self._answer(None)
        try:
            return self._answer(TIMEOUT_SECONDS)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._answer(None)
            raise subprocess.TimeoutExpired([*arguments], TIMEOUT_SECONDS) from None

    def _answer(self, seconds: float | None) -> int:
        self._line.settimeout(seconds)
        line = b""
        while not line.endswith(b"\n"):
            read = self._line.recv(1)
            assert read, "the process that forks has ended"
            line += read
        return int(line)

    def close(self) -> None:
        """End the process."""
        self._line.close()
        self._process.wait()


@cache
def forks() -> Forks:
    """The one of this process, started when it is first wanted."""
    made = Forks()
    atexit.register(made.close)
    return made


def _next_command(line: socket.socket) -> list[str] | None:
    """Fork for each request. Returns the arguments in the fork, and None when there are no more requests."""
    while True:
        word, files, *_ = socket.recv_fds(line, 1, 4)
        if not word:
            return None
        pid = os.fork()
        if pid == 0:
            line.close()
            return _become(files)
        for file in files:
            os.close(file)
        line.sendall(f"{pid}\n".encode())
        line.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())


def _become(files: Sequence[int]) -> list[str]:
    """Take on the streams, environment and folder of a command, and return its arguments."""
    request, *streams = files
    with os.fdopen(request, "rb") as file:
        arguments, environment, folder = json.load(file)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return list(arguments)


if __name__ == "__main__":
    import_module("tests.preloaded")

    if (command := _next_command(socket.socket(fileno=int(sys.argv[1])))) is not None:
        sys.argv = ["coremachine", *command]
        runpy.run_module("coremachine", run_name="__main__", alter_sys=True)

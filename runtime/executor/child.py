"""The program of a child process: it calls the handlers that its worker requests, and dies with its worker.

Run as `python -m coremachine.runtime.executor.child <pid of the worker>`. Messages are lines of JSON. From the worker:

    {"kind": "start", "path": […], "argv": […], "pythonpath": …}     once, first
    {"kind": "call", "reference": …, "main_path": …, "arguments": {…}, "context_parameter": …, "facts": {…}}
    {"kind": "stop", "reason": …}                                    for the call before it

and to the worker:

    {"kind": "report", "what": …, "data": {…}}                         while a handler runs
    {"kind": "result", "text": …} or {"kind": "cancelled", "reason": …}
    or {"kind": "error", "type": …, "message": …, "traceback": …, "retryable": …}

Handlers run on the main thread, as signals and many C libraries require; another thread reads.
"""

import faulthandler
import importlib
import io
import json
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Final, cast

from pydantic import ValidationError

from ...statemachine.context import TaskCancelledError, TaskContext
from ...statemachine.errors import DefinitionError, OperationError
from ...statemachine.results import ResultError, json_text
from ...statemachine.signature import REQUIRED, converted
from ...statemachine.task import Task

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_MESSAGE: Final = 10_000  # characters of an exception's text
_LONGEST_TRACEBACK: Final = 50_000
_PROGRESS_SECONDS: Final = 0.5  # a handler may report each of a million rows; its worker's event loop has other work
_MAINS: Final[dict[str, ModuleType]] = {"": sys.modules["__main__"]}  # kept: a module without references is emptied


class ChildPipe:
    """The pipe to the worker."""

    def __init__(self, fd: int) -> None:
        self.lock = threading.Lock()
        self._fd = fd

    def send(self, line: str) -> None:
        """Write a line of JSON, all of it. The caller holds `lock`."""
        if self._fd < 0:
            raise OperationError("a process that a handler forked cannot report to the worker; report from the handler")
        rest = memoryview(line.encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def cut(self) -> None:
        """Keep a process that the handler forked from writing, and from holding the pipe open after the child."""
        self.lock = threading.Lock()
        os.close(self._fd)
        self._fd = -1


class _Call:
    """A call of a handler: the worker's request, and the context, which reports until the handler has ended."""

    def __init__(self, wire: ChildPipe, message: Mapping[str, Any]) -> None:
        self.message = message
        self.context = TaskContext(**message["facts"], emit=self._emit)
        self._wire = wire
        self._over = False
        self._quiet_until = 0.0
        self._held_back: Mapping[str, object] | None = None

    def answer(self) -> None:
        """Call the handler and send its outcome."""
        line = self._outcome()
        with self._wire.lock:
            # From here the worker may send the next call; a thread that this handler left must not report to it.
            self._over = True
            self._wire.send(line)

    def _outcome(self) -> str:
        lasting: tuple[type[BaseException], ...] = (DefinitionError, ResultError, ValidationError)
        try:
            task = _task_at(self.message["reference"], self.message["main_path"])
            arguments = _arguments(task, self.message["arguments"])
            if self.message["context_parameter"] is not None:
                arguments[self.message["context_parameter"]] = self.context
            lasting = (DefinitionError, ResultError)  # a ValidationError in the handler may have any cause
            text = json_text(task.function(**arguments))
            self._emit_last_progress()
        except TaskCancelledError as error:
            return json.dumps({"kind": "cancelled", "reason": error.reason})
        except BaseException as error:  # noqa: BLE001 - a handler's sys.exit() ends the handler, not the child
            return _error_line(error, retryable=not isinstance(error, lasting))
        return json.dumps({"kind": "result", "text": text})

    def _emit(self, kind: str, data: Mapping[str, object]) -> None:
        if kind == "progress" and time.monotonic() < self._quiet_until:
            self._held_back = data
            return
        line = f'{{"kind":"report","what":{json.dumps(kind)},"data":{json_text(data, kind)}}}'
        with self._wire.lock:
            if self._over:
                raise OperationError(
                    f"a {kind} of task {self.context.task_id} was reported after its handler had ended"
                )
            if kind == "progress":
                self._quiet_until, self._held_back = time.monotonic() + _PROGRESS_SECONDS, None
            self._wire.send(line)

    def _emit_last_progress(self) -> None:
        if self._held_back is not None:
            self._quiet_until = 0.0
            self._emit("progress", self._held_back)


def _task_at(reference: str, main_path: str | None) -> Task[..., Any]:
    module, _, qualname = reference.partition(":")
    found: object = importlib.import_module(module) if main_path is None else _main_at(main_path)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, Task):
        raise DefinitionError(
            f"{reference} is a {type(found).__name__}, not a task; to run in a child process, a task must be "
            "an attribute of its module, with the name of its function",
        )
    return cast("Task[..., Any]", found)


def _main_at(path: str) -> ModuleType:
    """Run the worker's script once, under the name that multiprocessing uses: its guarded part does not run."""
    if path not in _MAINS:
        main = ModuleType("__mp_main__")
        main.__dict__.update(runpy.run_path(path, run_name="__mp_main__"))
        _MAINS[path] = sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return _MAINS[path]


def _arguments(task: Task[..., Any], values: Mapping[str, object]) -> dict[str, object]:
    parameters = {parameter.name: parameter for parameter in task.signature.parameters}
    missing = [name for name, one in parameters.items() if one.default is REQUIRED and name not in values]
    unknown = [name for name in values if name not in parameters]
    if missing or unknown:
        takes, lacks, gets = (", ".join(names) or "nothing" for names in (parameters, missing, unknown))
        raise DefinitionError(f"{task!r} takes {takes}; it lacks {lacks}, and gets the unknown {gets}")
    return {name: converted(parameters[name], value) for name, value in values.items()}


def _error_line(error: BaseException, *, retryable: bool) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace or error.__traceback__)
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 - a user's __str__ may raise any error
        message = f"(its __str__ raised {type(second).__name__})"
    report = {
        "kind": "error",
        "type": type(error).__name__,
        "message": message[:_LONGEST_MESSAGE],
        "traceback": "".join(lines)[-_LONGEST_TRACEBACK:],
        "retryable": retryable,
    }
    return json.dumps(report)


def _die_with(worker: int) -> None:
    """Let the kernel kill this process when its worker dies, even while a handler holds the interpreter.

    On other systems than Linux, the reader detects the closed pipe, but not while a handler holds the interpreter.
    """
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != worker:
            os._exit(0)  # the worker died before the call of prctl


def _private_pipes() -> tuple[int, int]:
    """Move the pipes to the worker away from stdin and stdout, so that a handler that prints cannot corrupt them.

    stdin is empty from now on, and stdout is the worker's stderr.
    """
    requests, replies = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # output before a crash must not be lost in a buffer
    return requests, replies


def _leave_signals_to_worker() -> None:
    """Ignore the signals that a terminal or systemd sends to every process; the worker stops its children.

    A function, not SIG_IGN: programs that a handler starts inherit SIG_IGN, and could then not be terminated.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
        if sys.platform != "win32":
            signal.siginterrupt(number, False)  # noqa: FBT003 - no keyword there


def _lines(fd: int) -> Iterator[bytes]:
    """Read without a buffered file, whose lock a process forked meanwhile would wait for as it ends."""
    begun = bytearray()
    while block := os.read(fd, 1 << 20):
        *ended, rest = block.split(b"\n")
        for end in ended:
            yield bytes(begun + end)
            begun.clear()
        begun += rest


def _read(fd: int, wire: ChildPipe, calls: "SimpleQueue[_Call]") -> None:
    call: _Call | None = None
    try:
        for line in _lines(fd):
            message = json.loads(line)
            if message["kind"] == "call":
                call = _Call(wire, message)
                calls.put(call)
            elif message["kind"] == "stop" and call is not None:
                call.context.ask_to_stop(message["reason"])
            elif message["kind"] == "start":
                _become_like_worker(message)
    except BaseException:  # noqa: BLE001 - a child that receives nothing must end
        traceback.print_exc()
        os._exit(70)
    os._exit(0)  # the worker is gone


def _become_like_worker(message: Mapping[str, Any]) -> None:
    """Use the worker's module search path. PYTHONPATH, changed to start this process, is restored."""
    sys.path[:], sys.argv[:] = message["path"], message["argv"]
    os.environ.pop("PYTHONPATH", None)
    if message["pythonpath"] is not None:
        os.environ["PYTHONPATH"] = message["pythonpath"]


def main(worker: int) -> None:
    """Serve the worker with this process id until it has ended."""
    _die_with(worker)
    requests, replies = _private_pipes()
    _leave_signals_to_worker()
    faulthandler.enable()
    wire = ChildPipe(replies)
    calls: SimpleQueue[_Call] = SimpleQueue()
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=wire.cut)
        os.register_at_fork(after_in_child=lambda: os.close(requests))
    threading.Thread(target=_read, args=(requests, wire, calls), daemon=True, name="worker's messages").start()
    while True:
        calls.get().answer()
        with suppress(OSError, ValueError):  # a handler may have closed it, and the worker's stderr may be closed
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The worker's side of child processes: sync handlers that must be killable, each in a separate process.

A child is killed with its process group, so the programs that its handler started end with it, unless they left the
group. What a handler leaves behind in its process (threads, globals, the working directory) is there for the next one.

Hazard: on Linux a child dies as soon as the thread that started it ends, which is the event loop's thread. A loop that
runs in a thread has to outlive its children.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from ...statemachine.context import TaskCancelledError, TaskContext
from ...statemachine.errors import DefinitionError
from ...statemachine.results import LARGEST_RESULT
from ...statemachine.task import Task
from .errors import ChildDiedError, ChildrenClosedError, ChildStartError, HandlerError, HandlerTimeoutError

_PROGRAM: Final = "coremachine.runtime.executor.child"
_FACTS: Final = ("job_id", "task_id", "stage", "index", "attempt", "lease_number")
_STDIN: Final = 0
_STDOUT: Final = 1
_LONGEST_LINE: Final = 2 * LARGEST_RESULT + 65_536  # a result is sent as a JSON string, at worst all of it escaped
_DEATH_SECONDS: Final = 10.0  # a process that waits for a disk or a network file system dies only after the wait


@dataclass(frozen=True)
class ChildCall:
    """A handler and its arguments.

    `reference` is `package.module:qualname` of a Task at module level; `main_path` is the file of the worker's script
    if the module is `__main__`. `arguments` are JSON values by parameter name, `facts` the fields of the TaskContext
    that are JSON, and `context_parameter` names the parameter that takes it.
    """

    reference: str
    main_path: str | None
    arguments: Mapping[str, object]
    context_parameter: str | None
    facts: Mapping[str, object]

    @classmethod
    def of(cls, task: Task[..., Any], arguments: Mapping[str, object], context: TaskContext) -> "ChildCall":
        """The call of `task` for a child. Raises DefinitionError for a task that a child cannot import."""
        module, main_path = task.function.__module__, None
        if module == "__main__":
            module, main_path = _place_of_main(task)
        facts = {name: getattr(context, name) for name in _FACTS}
        reference = f"{module}:{task.function.__qualname__}"
        if "<locals>" in reference or "<lambda>" in reference:
            raise DefinitionError(f"{task!r} is {reference}; to run in a child process, define it at module level")
        return cls(reference, main_path, arguments, task.signature.context, facts)


def _place_of_main(task: Task[..., Any]) -> tuple[str, str | None]:
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # python -m package.module
        return main.__spec__.name, None
    path = getattr(main, "__file__", None)
    if path is None:
        raise DefinitionError(f"{task!r} was typed in; to run in a child process, define it in a file")
    return "__main__", str(path)


class Children:
    """At most `most` child processes, each running one handler at a time; idle ones are reused."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise DefinitionError(f"handlers need at least 1 child process, not {most}")
        self._most = most
        self._slots = asyncio.Semaphore(most)
        self._idle: list[_Child] = []
        self._alive: set[_Child] = set()
        self._closed = False

    async def run(self, call: ChildCall, *, timeout: float | None, context: TaskContext) -> str:  # noqa: ASYNC109 - it kills
        """Run a handler and return its result as JSON text.

        Waits for a child if all are busy; `timeout`, in seconds, counts from when there is one. The handler's reports
        are passed to `context.emit`, in the event loop's thread, and `context.ask_to_stop` reaches the handler.
        Cancellation kills the child. Raises HandlerTimeoutError, HandlerError, ChildDiedError, ChildStartError,
        ChildrenClosedError, TaskCancelledError if the handler raised it, and any error of `context.emit`.
        """
        await self._slots.acquire()
        try:
            child = await self._take()
        except BaseException:
            self._slots.release()
            raise
        limit = asyncio.timeout(timeout)
        try:
            self._check_open()  # it may have been closed while the child started
            async with limit:
                return await child.handle(call, context)
        except TimeoutError:
            if timeout is None or not limit.expired():
                raise  # an error of context.emit
            raise HandlerTimeoutError(timeout) from None
        finally:
            await self._give_back(child)

    async def close(self) -> None:
        """Kill every child and wait until it has ended. Handlers that still run end with ChildrenClosedError."""
        self._closed = True
        self._idle.clear()
        alive = tuple(self._alive)
        for child in alive:
            child.end(ChildrenClosedError())
        if alive:
            await asyncio.wait([child.gone for child in alive])
        await self._all_runs_ended()

    def _check_open(self) -> None:
        if self._closed:
            raise ChildrenClosedError

    async def _all_runs_ended(self) -> None:
        taken = 0
        try:
            while taken < self._most:
                await self._slots.acquire()
                taken += 1
        finally:
            for _ in range(taken):
                self._slots.release()

    async def _take(self) -> "_Child":
        self._check_open()
        while self._idle:
            child = self._idle.pop()
            if child.free:
                return child
        child = await _start()
        self._alive.add(child)
        child.gone.add_done_callback(lambda _: self._alive.discard(child))
        return child

    async def _give_back(self, child: "_Child") -> None:
        if child.free and not self._closed:
            self._idle.append(child)
            self._slots.release()
            return
        child.kill()
        child.gone.add_done_callback(lambda _: self._slots.release())
        await asyncio.wait([child.gone], timeout=_DEATH_SECONDS)


async def _start() -> "_Child":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = (sys.executable, "-P", "-m", _PROGRAM, str(os.getpid()))
    try:
        _, child = await asyncio.get_running_loop().subprocess_exec(
            _Child, *command, stderr=None, start_new_session=True, env=environment
        )
    except OSError as error:
        raise ChildStartError(str(error)) from error
    pythonpath = os.environ.get("PYTHONPATH")
    child.send({"kind": "start", "path": sys.path, "argv": sys.argv, "pythonpath": pythonpath})
    return child


class _Child(asyncio.SubprocessProtocol):
    """One process. `free` is whether it can take a call; `gone` is done once it is dead and its pipes are empty."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.free = True
        self._transport: asyncio.SubprocessTransport
        self._begun = bytearray()
        self._answer: asyncio.Future[str] | None = None
        self._context = TaskContext()

    async def handle(self, call: ChildCall, context: TaskContext) -> str:
        """Run a handler. `free` stays False unless it ends with a result or with an error of the handler."""
        line = _line({"kind": "call", **vars(call), "arguments": dict(call.arguments), "facts": dict(call.facts)})
        answer: asyncio.Future[str] = self._loop.create_future()
        self._answer = answer
        self._context = context
        self.free = False
        self._write(line)
        with context.stop_listener(lambda reason: self._ask_to_stop(answer, reason)):
            return await answer

    def send(self, message: Mapping[str, object]) -> None:
        """Send a message, without waiting for the child to read it."""
        self._write(_line(message))

    def end(self, error: Exception) -> None:
        """Kill it, and fail its current call with `error`."""
        self._fail(error)
        self.kill()

    def kill(self) -> None:
        """Kill it with its process group; `gone` is done soon."""
        self.free = False
        if self._transport.get_returncode() is not None:
            return
        if sys.platform == "win32":
            self._transport.kill()
            return
        try:
            os.killpg(self._transport.get_pid(), signal.SIGKILL)
        except ProcessLookupError:
            return  # it died by itself, and the event loop will be notified soon
        except PermissionError:
            self._transport.kill()  # macOS, for a group in which only a dead process is left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - only stdout is read
        *ended, rest = data.split(b"\n")
        for end in ended:
            line = bytes(self._begun + end)
            self._begun.clear()
            self._receive(line)
        self._begun += rest
        if len(self._begun) > _LONGEST_LINE:
            self._refuse(bytes(self._begun))
            self._begun.clear()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        if fd == _STDOUT:
            self.kill()  # if it is dead, the programs of its handler must end too; else it can no longer answer

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the exit code has more information
        """Called once the process has ended and all its output has been received."""
        returncode = self._transport.get_returncode()
        self._fail(ChildDiedError(-signal.SIGKILL if returncode is None else returncode))
        self._transport.close()
        self.gone.set_result(None)

    def _write(self, line: bytes) -> None:
        pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(_STDIN))
        pipe.write(line)

    def _ask_to_stop(self, answer: "asyncio.Future[str]", reason: str) -> None:
        self._loop.call_soon_threadsafe(self._send_stop, answer, reason)

    def _send_stop(self, answer: "asyncio.Future[str]", reason: str) -> None:
        if answer is self._answer and not answer.done():
            self.send({"kind": "stop", "reason": reason})

    def _receive(self, line: bytes) -> None:
        answer = self._answer
        if answer is None or answer.done():
            self.kill()  # an idle child must not write, and one whose call was abandoned is dead already
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        match message:
            case {"kind": "report", "what": str(), "data": dict()}:
                self._pass_on(message["what"], message["data"])
            case {"kind": "result", "text": str()}:
                self.free = True
                answer.set_result(message["text"])
            case {"kind": "cancelled", "reason": str()}:
                self.free = True
                self._fail(TaskCancelledError(message["reason"]))
            case {"kind": "error", "type": str(), "message": str(), "traceback": str(), "retryable": bool()}:
                self.free = True
                self._fail(_handler_error(message))
            case _:
                self._refuse(line)

    def _pass_on(self, kind: str, data: Mapping[str, object]) -> None:
        try:
            self._context.emit(kind, data)
        except Exception as error:  # noqa: BLE001 - run() raises it, to the caller that passed the context
            self.end(error)

    def _refuse(self, line: bytes) -> None:
        message = f"the handler's process wrote {line[:200]!r} to the library's pipe, and was killed"
        self.end(HandlerError("ProtocolError", message, "", retryable=True))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode("ascii") + b"\n"


def _handler_error(message: Mapping[str, Any]) -> HandlerError:
    return HandlerError(message["type"], message["message"], message["traceback"], retryable=message["retryable"])

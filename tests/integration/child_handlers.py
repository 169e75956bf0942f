"""Handlers that children run: what may go well, and badly, in a process of its own."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import date

from pydantic import BaseModel

from coremachine.statemachine.context import TaskCancelledError, TaskContext
from coremachine.statemachine.task import task

FAR = 1000.0  # seconds: what lasts that long was not waited for
SOON = 20.0  # seconds within which a process that is killed is gone, on a busy machine, too


class Box(BaseModel):
    """An input that has to be converted."""

    day: date
    sizes: list[int]


@task
def describe(box: Box, unit: str = "m") -> str:
    return f"{box.day:%d.%m.%Y} {sum(box.sizes)} {unit}"


@task
def fail(message: str) -> None:
    raise LookupError(message)


@task
def parse(text: str) -> None:
    Box.model_validate_json(text)


@task
def leave(code: int) -> None:
    sys.exit(code)


@task
def give_object() -> object:
    return {"tile": object()}


@task
def own_pid() -> int:
    return os.getpid()


@task
def facts(context: TaskContext) -> list[object]:
    return [context.job_id, context.task_id, context.stage, context.index, context.attempt, context.lease_number]


@task
def spin(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid())
    while True:
        pass


@task
def sleep(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid())
    time.sleep(FAR)


@task
def hold_interpreter(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid())
    ctypes.PyDLL(None).sleep(int(FAR))  # a PyDLL keeps the interpreter's lock while it is in C


@task
def backtrack(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid())
    re.match(r"(a+)+$", "a" * 100 + "b")


@task
def crash(context: TaskContext) -> None:
    context.checkpoint("begun", pid=os.getpid())
    ctypes.string_at(0)


@task
def exit_at_once(code: int) -> None:
    os._exit(code)


@task
def wait_for_stop(context: TaskContext) -> str:
    context.checkpoint("begun", pid=os.getpid())
    context.wait(FAR)
    try:
        context.raise_if_cancelled()
    except TaskCancelledError as error:
        return error.reason
    return "never asked"


@task
def stop_when_asked(context: TaskContext) -> None:
    context.wait(FAR)
    context.raise_if_cancelled()


@task
def print_much() -> str:
    print("not json")  # noqa: T201 - that is what it tries
    print('{"kind":"result","text":"false"}')  # noqa: T201
    os.write(1, b"straight to stdout\n")
    subprocess.run(["echo", "from a program"], check=True)
    return sys.stdin.read()


@task
def write_on_protocol() -> None:
    for number in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(number, b"garbage\n")
    time.sleep(FAR)


@task
def echo_text(text: str) -> str:
    return text


@task
def start_program(context: TaskContext) -> None:
    program = subprocess.Popen(["sleep", str(FAR)])
    context.checkpoint("begun", pid=program.pid)
    program.wait()


@task
def terminate_program() -> int:
    with subprocess.Popen(["sleep", str(FAR)]) as program:
        program.terminate()
        return program.wait()


@task
def signal_oneself() -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


GO_ON = threading.Event()
ENDED = threading.Event()
COMPLAINTS: list[str] = []


@task
def leave_thread(context: TaskContext) -> None:
    def speak_late() -> None:
        GO_ON.wait()
        try:
            context.checkpoint("late")
        except Exception as error:  # noqa: BLE001 - what it was is the test's question
            COMPLAINTS.append(str(error))
        ENDED.set()

    threading.Thread(target=speak_late).start()


@task
def hear_thread() -> list[str]:
    GO_ON.set()
    ENDED.wait()
    return COMPLAINTS


@task
def progress_often(context: TaskContext) -> None:
    for row in range(1, 100_001):
        context.progress(row, 100_000)


@task
def fork_and_crash(context: TaskContext) -> None:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(FAR)
    context.checkpoint("begun", pid=pid)
    os._exit(3)


@task
def environment() -> list[object]:
    return [os.environ.get("PYTHONPATH"), sys.path, sys.argv]

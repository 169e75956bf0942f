"""Handlers in child processes: what comes back, and that a process ends when it should, whatever its handler does."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from coremachine.runtime.executor.children import ChildCall, Children
from coremachine.runtime.executor.errors import (
    ChildDiedError,
    ChildrenClosedError,
    ChildStartError,
    HandlerError,
    HandlerTimeoutError,
)
from coremachine.statemachine.context import TaskCancelledError, TaskContext
from coremachine.statemachine.errors import DefinitionError
from coremachine.statemachine.task import Task, task
from tests.integration.child_handlers import (
    FAR,
    SOON,
    backtrack,
    crash,
    describe,
    echo_text,
    environment,
    exit_at_once,
    facts,
    fail,
    fork_and_crash,
    give_object,
    hear_thread,
    hold_interpreter,
    leave,
    leave_thread,
    own_pid,
    parse,
    print_much,
    progress_often,
    signal_oneself,
    sleep,
    spin,
    start_program,
    stop_when_asked,
    terminate_program,
    wait_for_stop,
    write_on_protocol,
)
from tests.integration.children_seen import Heard, Process


def _make_local() -> Task[[], int]:
    @task
    def local() -> int:
        return 1

    return local


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children(1)
    yield made
    await made.close()


def run(
    children: Children,
    handler: Task[..., Any],
    heard: Heard | None = None,
    timeout: float | None = None,
    **given: Any,
) -> "asyncio.Task[str]":
    """Begin to run a handler in a child."""
    context = (heard or Heard()).context
    call = ChildCall.of(handler, given, context)
    return asyncio.create_task(children.run(call, timeout=timeout, context=context))


async def test_arguments_are_converted_and_the_result_comes_back(children: Children) -> None:
    assert await run(children, describe, box={"day": "2024-02-29", "sizes": [1, 2]}) == '"29.02.2024 3 m"'


async def test_the_context_in_the_child_knows_its_task(children: Children) -> None:
    assert json.loads(await run(children, facts)) == ["j1", "j1/2/3", "tiles", 3, 2, 4]


async def test_what_a_handler_raises_comes_back_with_its_traceback(children: Children) -> None:
    with pytest.raises(HandlerError) as caught:
        await run(children, fail, message="no \x00 such \ud800 tile")
    assert (caught.value.type, caught.value.message) == ("LookupError", "no \x00 such \ud800 tile")
    assert "in fail\n" in caught.value.traceback
    assert "handlers/child.py" not in caught.value.traceback
    assert caught.value.retryable
    assert json.dumps(caught.value.data, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("handler", "given", "kind", "retryable"),
    [
        (describe, {"box": {"day": "tomorrow", "sizes": []}}, "ValidationError", False),
        (describe, {}, "DefinitionError", False),
        (describe, {"box": {}, "colour": "red"}, "DefinitionError", False),
        (give_object, {}, "ResultError", False),
        (parse, {"text": "{"}, "ValidationError", True),
        (leave, {"code": 3}, "SystemExit", True),
    ],
    ids=["argument", "lacks one", "one too many", "result", "raised inside", "sys.exit"],
)
async def test_only_what_would_end_the_same_way_is_not_retryable(
    children: Children, handler: Task[..., Any], given: dict[str, Any], kind: str, *, retryable: bool
) -> None:
    with pytest.raises(HandlerError) as caught:
        await run(children, handler, **given)
    assert (caught.value.type, caught.value.retryable) == (kind, retryable)


@pytest.mark.parametrize("handler", [spin, sleep, hold_interpreter, backtrack], ids=lambda handler: handler.name)
async def test_a_timeout_kills_the_child(children: Children, handler: Task[..., Any]) -> None:
    heard = Heard()
    with contextlib.closing(Process(int(await run(children, own_pid)))) as process:
        with pytest.raises(HandlerTimeoutError) as caught:
            await run(children, handler, heard, timeout=1)
        assert heard.told == [("checkpoint", {"name": "begun", "pid": process.pid})]
        assert process.is_gone()
    assert caught.value.seconds == 1


async def test_a_timeout_kills_the_programs_that_the_handler_started(children: Children) -> None:
    heard = Heard()
    await run(children, own_pid)
    running = run(children, start_program, heard, timeout=1)
    with contextlib.closing(await heard.process()) as program:
        with pytest.raises(HandlerTimeoutError):
            await running
        assert program.is_gone(SOON)


async def test_cancellation_kills_the_child(children: Children) -> None:
    heard = Heard()
    running = run(children, hold_interpreter, heard)
    with contextlib.closing(await heard.process()) as process:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert process.is_gone()


async def test_a_crash_names_its_signal_and_loses_no_checkpoint(children: Children) -> None:
    heard = Heard()
    with pytest.raises(ChildDiedError, match="signal SIGSEGV") as caught:
        await run(children, crash, heard)
    assert (caught.value.ending, caught.value.returncode) == ("signal SIGSEGV", -signal.SIGSEGV)
    assert [data["name"] for _, data in heard.told] == ["begun"]


async def test_a_child_that_exits_names_its_code_and_another_takes_its_place(children: Children) -> None:
    with pytest.raises(ChildDiedError, match="exit code 3"):
        await run(children, exit_at_once, code=3)
    assert json.loads(await run(children, own_pid))


async def test_a_forked_process_does_not_hide_that_the_child_died(children: Children) -> None:
    heard = Heard()
    running = run(children, fork_and_crash, heard, timeout=SOON)
    with contextlib.closing(await heard.process()) as forked:
        with pytest.raises(ChildDiedError, match="exit code 3"):
            await running
        assert not forked.is_gone()


async def test_a_checkpoint_arrives_while_the_handler_runs(children: Children) -> None:
    heard = Heard()
    running = run(children, sleep, heard)
    await heard.begun.wait()
    assert not running.done()
    [(kind, data)] = heard.told
    assert (kind, data["name"]) == ("checkpoint", "begun")
    running.cancel()
    await asyncio.wait([running])


async def test_much_progress_is_thinned_out_but_for_the_first_and_the_last(children: Children) -> None:
    heard = Heard()
    await run(children, progress_often, heard)
    done = [data["done"] for _, data in heard.told]
    assert (done[0], done[-1]) == (1, 100_000)
    assert len(done) < 100


async def test_what_cannot_be_told_fails_the_run(children: Children) -> None:
    def refuse(_kind: str, _data: Mapping[str, object]) -> None:
        raise TimeoutError("the log is full")

    context = TaskContext(emit=refuse)
    with pytest.raises(TimeoutError, match="the log is full"):
        await children.run(ChildCall.of(sleep, {}, context), timeout=FAR, context=context)


async def test_a_thread_that_outlives_its_handler_cannot_speak_for_the_next(children: Children) -> None:
    await run(children, leave_thread)
    heard = Heard()
    assert json.loads(await run(children, hear_thread, heard)) == [
        "a checkpoint of task j1/2/3 was reported after its handler had ended"
    ]
    assert heard.told == []


async def test_a_stop_request_reaches_the_handler(children: Children) -> None:
    heard = Heard()
    running = run(children, wait_for_stop, heard)
    await heard.begun.wait()
    await asyncio.to_thread(heard.context.ask_to_stop, "the job was cancelled")
    assert await running == '"the job was cancelled"'


async def test_a_handler_that_was_asked_to_stop_before_it_began_ends_as_cancelled(children: Children) -> None:
    heard = Heard()
    heard.context.ask_to_stop("too late")
    with pytest.raises(TaskCancelledError) as caught:
        await run(children, stop_when_asked, heard)
    assert caught.value.reason == "too late"


async def test_a_stop_request_is_over_with_its_call(children: Children) -> None:
    loop, heard, later = asyncio.get_running_loop(), Heard(), Heard()
    await run(children, own_pid)
    [child] = children._alive  # pyright: ignore[reportPrivateUsage] - the request has to come just as the call ends

    def ask_as_it_ends() -> None:
        if child.free:
            heard.context.ask_to_stop("the first")
        else:
            loop.call_soon(ask_as_it_ends)

    async def run_both() -> str:
        await children.run(ChildCall.of(facts, {}, heard.context), timeout=None, context=heard.context)
        call = ChildCall.of(wait_for_stop, {}, later.context)
        return await children.run(call, timeout=None, context=later.context)

    running = asyncio.create_task(run_both())
    loop.call_soon(ask_as_it_ends)
    await later.begun.wait()
    assert heard.context.cancelled
    later.context.ask_to_stop("the second")
    assert await running == '"the second"'


async def test_what_a_handler_prints_goes_to_the_workers_stderr(
    children: Children, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await run(children, print_much) == '""'
    out, err = capfd.readouterr()
    assert out == ""
    assert all(text in err for text in ("not json", "straight to stdout", "from a program"))


async def test_garbage_on_the_protocol_kills_the_child(children: Children) -> None:
    with pytest.raises(HandlerError, match="garbage") as caught:
        await run(children, write_on_protocol)
    assert caught.value.type == "ProtocolError"
    assert json.loads(await run(children, own_pid))


@pytest.mark.parametrize("text", ["x" * 8_000_000, '"\\' * 2_000_000], ids=["plain", "escaped"])
async def test_large_arguments_and_results_pass(children: Children, text: str) -> None:
    assert json.loads(await run(children, echo_text, text=text)) == text


async def test_an_idle_child_is_used_again_and_no_more_than_so_many_live(children: Children) -> None:
    first, second = await asyncio.gather(run(children, own_pid), run(children, own_pid))
    assert first == second == await run(children, own_pid)


async def test_as_many_children_run_at_once_as_are_allowed() -> None:
    children = Children(2)
    one, other = Heard(), Heard()
    running = [run(children, sleep, heard) for heard in (one, other)]
    await asyncio.gather(one.begun.wait(), other.begun.wait())
    assert one.told != other.told
    await children.close()
    await asyncio.wait(running)
    assert [type(each.exception()) for each in running] == [ChildrenClosedError] * 2


async def test_an_idle_child_that_was_killed_is_replaced(children: Children) -> None:
    with contextlib.closing(Process(int(await run(children, own_pid)))) as process:
        [child] = children._alive  # pyright: ignore[reportPrivateUsage] - the event loop has to hear of it
        os.kill(process.pid, signal.SIGKILL)
        await child.gone
        assert int(await run(children, own_pid)) != process.pid


async def test_signals_to_everybody_leave_the_child_to_its_worker(children: Children) -> None:
    assert await run(children, signal_oneself) == '"still here"'
    assert int(await run(children, terminate_program)) == -signal.SIGTERM


async def test_the_child_finds_modules_as_its_worker_does(
    children: Children, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert json.loads(await run(children, environment)) == ["/nowhere", sys.path, sys.argv]


async def test_close_leaves_no_process() -> None:
    children = Children(2)
    heard = Heard()
    running = run(children, hold_interpreter, heard)
    idle = Process(int(await run(children, own_pid)))
    busy = await heard.process()
    with contextlib.closing(idle), contextlib.closing(busy):
        await children.close()
        assert idle.is_gone()
        assert busy.is_gone()
    with pytest.raises(ChildrenClosedError):
        await running
    with pytest.raises(ChildrenClosedError):
        await run(children, own_pid)


async def test_close_ends_a_child_that_is_just_being_started() -> None:
    children = Children(1)
    starting, waiting = run(children, own_pid), run(children, own_pid)
    await asyncio.sleep(0)  # the run has asked for a process by then, and has none
    await children.close()
    ends = await asyncio.gather(starting, waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [ChildrenClosedError] * 2
    assert not children._alive  # pyright: ignore[reportPrivateUsage] - its number is known to nobody yet


async def test_a_process_that_cannot_be_started_is_told(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ChildStartError, match="/nowhere/python"):
        await run(children, own_pid)
    monkeypatch.undo()
    assert json.loads(await run(children, own_pid))


async def test_a_task_that_no_child_can_find_is_refused(children: Children) -> None:
    with pytest.raises(DefinitionError, match="module level"):
        ChildCall.of(_make_local(), {}, TaskContext())
    nameless = ChildCall(f"{__name__}:Box", None, {}, None, {})
    with pytest.raises(HandlerError, match="not a task") as caught:
        await children.run(nameless, timeout=None, context=TaskContext())
    assert not caught.value.retryable
